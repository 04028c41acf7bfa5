/** The `index`th address of an IPv4 range; undefined past its end. */
export function addressAt(cidr: string, index: number): string | undefined {
  const [base, length] = cidr.split("/");
  const size = 2 ** (32 - Number(length ?? 32));
  if (index >= size - 1) return undefined;
  const number = base!.split(".").reduce((sum, part) => sum * 256 + Number(part), 0) + index;
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}
