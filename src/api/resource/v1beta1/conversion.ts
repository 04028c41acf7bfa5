/**
 * Conversion between v1beta1, which has flat requests and device details under `basic`, and v1, which is stored.
 * Upstream: pkg/apis/resource/v1beta1/conversion.go
 */
const EXACT = ["deviceClassName", "selectors", "allocationMode", "count", "adminAccess", "tolerations", "capacity"];

type Fields = Readonly<Record<string, any>>;

function split(fields: Fields, names: readonly string[]): readonly [Fields, Fields] {
  const entries = Object.entries(fields);
  return [
    Object.fromEntries(entries.filter(([name]) => names.includes(name))),
    Object.fromEntries(entries.filter(([name]) => !names.includes(name))),
  ];
}

const mapRequests = (spec: Fields | undefined, convert: (request: Fields) => Fields): Fields | undefined =>
  spec?.["devices"]?.requests === undefined
    ? spec
    : { ...spec, devices: { ...spec["devices"], requests: spec["devices"].requests.map(convert) } };

function requestToV1(request: Fields): Fields {
  const [exactly, rest] = split(request, EXACT);
  // Empty words and a count of none say nothing; an empty list does.
  const isSaid = Object.values(exactly).some((value) => value !== undefined && value !== "" && value !== 0);
  return isSaid ? { ...rest, exactly } : rest;
}
const requestFromV1 = ({ exactly, ...rest }: Fields): Fields => ({ ...rest, ...exactly });

export const claimToV1 = (claim: Fields): Fields => ({
  ...claim,
  apiVersion: "resource.k8s.io/v1",
  spec: mapRequests(claim["spec"], requestToV1),
});
export const claimFromV1 = (claim: Fields): Fields => ({
  ...claim,
  apiVersion: "resource.k8s.io/v1beta1",
  spec: mapRequests(claim["spec"], requestFromV1),
});
export const templateToV1 = (template: Fields): Fields => ({
  ...template,
  apiVersion: "resource.k8s.io/v1",
  spec: { ...template["spec"], spec: mapRequests(template["spec"]?.spec, requestToV1) },
});
export const templateFromV1 = (template: Fields): Fields => ({
  ...template,
  apiVersion: "resource.k8s.io/v1beta1",
  spec: { ...template["spec"], spec: mapRequests(template["spec"]?.spec, requestFromV1) },
});

export function sliceToV1(slice: Fields): Fields {
  const { nodeName, allNodes, devices, ...spec } = slice["spec"] as Fields;
  return {
    ...slice,
    apiVersion: "resource.k8s.io/v1",
    spec: {
      ...spec,
      ...(nodeName && { nodeName }),
      ...(allNodes === true && { allNodes }),
      ...(devices !== undefined && {
        devices: devices.map(({ basic, ...device }: Fields) => ({ ...device, ...basic })),
      }),
    },
  };
}
export function sliceFromV1(slice: Fields): Fields {
  const { devices, ...spec } = slice["spec"] as Fields;
  return {
    ...slice,
    apiVersion: "resource.k8s.io/v1beta1",
    spec: {
      ...spec,
      ...(devices !== undefined && { devices: devices.map(({ name, ...basic }: Fields) => ({ name, basic })) }),
    },
  };
}
