import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalQuantity, formatQuantity, parseQuantity, quantityError, roundUpToMilli } from "./quantity.ts";

test("a quantity prints in its one canonical form", () => {
  for (const [text, canonical] of [
    ["0", "0"],
    ["0Gi", "0"],
    ["1", "1"],
    ["0.5", "500m"],
    [".5", "500m"],
    ["1.", "1"],
    ["100000m", "100"],
    ["1500m", "1500m"],
    ["1.5k", "1500"],
    ["1000", "1k"],
    ["1024", "1024"],
    ["1.5Gi", "1536Mi"],
    ["1024Mi", "1Gi"],
    ["512", "512"],
    ["0.5Ki", "512"],
    ["1e3", "1e3"],
    ["1E3", "1e3"],
    ["2E", "2E"],
    ["-100m", "-100m"],
    ["+1", "1"],
    ["1n", "1n"],
    ["0.1n", "1n"],
    ["128974848", "128974848"],
    ["129e6", "129e6"],
    ["123Mi", "123Mi"],
    ["99999999999999999999", "9223372036854775807"],
  ] as const)
    assert.equal(canonicalQuantity(text), canonical, text);
});

test("what is not a quantity is refused", () => {
  for (const text of ["", ".", "1kk", "1 ", "Gi", "1.2.3", "1ki", "0x1", "--1"])
    assert.equal(parseQuantity(text), undefined, text);
});

test("resource lists round up to a thousandth", () => {
  assert.equal(formatQuantity(roundUpToMilli(parseQuantity("0.1234")!)), "124m");
  assert.equal(formatQuantity(roundUpToMilli(parseQuantity("2")!)), "2");
});

test("the quick test for canonical forms agrees with the arithmetic", () => {
  for (const number of ["0", "1", "9", "10", "100", "999", "1000", "1023", "1024", "1025", "2048", "500000", "1000000"])
    for (const suffix of ["", "m", "k", "M", "G", "Ki", "Mi", "Gi"])
      assert.equal(
        canonicalQuantity(number + suffix),
        formatQuantity(parseQuantity(number + suffix)!),
        number + suffix,
      );
});

test("what is no quantity has upstream's words", () => {
  assert.equal(quantityError("1Gi"), undefined);
  assert.equal(quantityError("1kk"), "unable to parse quantity's suffix");
  for (const text of ["", "x", "1x", "1GI", "1.2.3", "--1", "1 ", "Ki"])
    assert.match(quantityError(text)!, /^quantities must match/, text);
});

test("a binary amount with a fraction of a unit is printed the decimal way", () => {
  assert.equal(canonicalQuantity("1.1Ki"), "1126400m");
});
