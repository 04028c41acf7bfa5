/** Upstream: pkg/apis/core/v1/conversion.go, pkg/apis/core/validation (ValidateSecret), pkg/registry/core/secret */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifEmpty } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { Secret } from "../../../generated/core.v1.ts";
import { size } from "../configmap/validation.ts";
import { secretWarnings } from "./warnings.ts";
import { validateSecret, validateSecretUpdate } from "./validation.ts";

export const secrets = defineResource<Secret>({
  group: "",
  version: "v1",
  kind: "Secret",
  behaviour: {
    defaults(secret) {
      // Write-only convenience: text goes in plain and is stored encoded.
      if (secret.stringData !== undefined) {
        for (const [key, text] of Object.entries(secret.stringData))
          (secret.data ??= {})[key] = Buffer.from(text).toString("base64");
        delete secret.stringData;
      }
      ifEmpty(secret, "type", "Opaque");
    },
    prepareForUpdate(secret, old) {
      if (!secret.type && old.type !== undefined) secret.type = old.type;
    },
    validate: validateSecret,
    validateUpdate: validateSecretUpdate,
    warnings: secretWarnings,
  },
  selectableFields: { type: ({ type }) => type ?? "" },
  columns: [
    nameColumn,
    column("Type", "string", ({ type }) => type ?? ""),
    column("Data", "string", ({ data }) => size(data)),
    ageColumn,
  ],
});
