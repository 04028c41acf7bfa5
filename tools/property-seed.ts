/**
 * Loaded before the tests (`node --import`): properties draw the same cases in each run, so that what `npm test` says is about the code.
 * `SEED=7 npm test -- unit` draws others, `npm test -- seeds 20` so many times. A property that fails tells its seed and the path to the case.
 */
import fc from "fast-check";

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env["SEED"] ?? 1) });
