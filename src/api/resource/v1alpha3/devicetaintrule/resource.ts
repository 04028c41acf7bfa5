/** Upstream: pkg/registry/resource/devicetaintrule */
import { defineResource } from "../../../define.ts";
import type { DeviceTaintRule } from "../../../generated/resource.v1alpha3.ts";
import { stampTaint, taintRuleColumns } from "../../device.ts";
import { validateTaintRule, validateTaintRuleStatus, validateTaintRuleUpdate } from "../../validation.ts";

export const deviceTaintRules = defineResource<DeviceTaintRule>({
  group: "resource.k8s.io",
  version: "v1alpha3",
  kind: "DeviceTaintRule",
  behaviour: {
    prepareForCreate: (rule, { now }) => stampTaint(rule, undefined, now),
    prepareForUpdate: (rule, old, { now }) => stampTaint(rule, old, now),
    validate: (rule) => validateTaintRule(rule),
    validateUpdate: validateTaintRuleUpdate,
  },
  views: { status: { validateUpdate: validateTaintRuleStatus } },
  columns: taintRuleColumns,
});
