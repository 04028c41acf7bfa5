/**
 * The pause program, which holds a pod's namespaces open, as an ELF file of a few hundred bytes: it ignores SIGCHLD, so that the kernel reaps
 * orphans in a shared process namespace, and exits on SIGTERM or SIGINT. It is built here so that a cluster needs no registry to start its first
 * pod.
 *
 * Upstream: build/pause
 */
const BASE = 0x400000;
const HEADERS = 64 + 56;

export function pauseProgram(arch: "x64" | "arm64"): Uint8Array {
  const code = arch === "x64" ? x64() : arm64();
  const file = Buffer.alloc(HEADERS + code.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0); // ELF, 64 bits, little endian
  file.writeUInt16LE(2, 16); // executable
  file.writeUInt16LE(arch === "x64" ? 62 : 183, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(BASE + HEADERS), 24); // entry
  file.writeBigUInt64LE(64n, 32); // program headers
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64); // PT_LOAD
  file.writeUInt32LE(5, 68); // read, execute
  file.writeBigUInt64LE(BigInt(BASE), 80);
  file.writeBigUInt64LE(BigInt(BASE), 88);
  file.writeBigUInt64LE(BigInt(file.length), 96);
  file.writeBigUInt64LE(BigInt(file.length), 104);
  file.writeBigUInt64LE(0x1000n, 112);
  file.set(code, HEADERS);
  return file;
}

/** struct sigaction { SIG_IGN } and the set of SIGINT and SIGTERM. */
function data(): Buffer {
  const bytes = Buffer.alloc(32 + 8);
  bytes[0] = 1;
  bytes.writeBigUInt64LE((1n << 1n) | (1n << 14n), 32);
  return bytes;
}

function x64(): Buffer {
  const out: number[] = [];
  const fixes: { at: number; offset: number }[] = [];
  const movEax = (value: number) => out.push(0xb8, value, 0, 0, 0);
  const address = (opcode: readonly number[], offset: number) => {
    out.push(...opcode, 0, 0, 0, 0);
    fixes.push({ at: out.length, offset });
  };
  const leaRsi = (offset: number) => address([0x48, 0x8d, 0x35], offset);
  const leaRdi = (offset: number) => address([0x48, 0x8d, 0x3d], offset);
  const xor = (register: number) => out.push(0x31, register); // d2 edx, ff edi, f6 esi
  const sizeAndCall = () => out.push(0x41, 0xba, 8, 0, 0, 0, 0x0f, 0x05); // mov r10d, 8; syscall
  movEax(13); // rt_sigaction(SIGCHLD, ignore)
  out.push(0xbf, 17, 0, 0, 0);
  leaRsi(0);
  xor(0xd2);
  sizeAndCall();
  movEax(14); // rt_sigprocmask(SIG_BLOCK, set)
  xor(0xff);
  leaRsi(32);
  xor(0xd2);
  sizeAndCall();
  const loop = out.length;
  movEax(128); // rt_sigtimedwait(set)
  leaRdi(32);
  xor(0xf6);
  xor(0xd2);
  sizeAndCall();
  out.push(0x85, 0xc0, 0x78, 0); // test eax, eax; js loop
  out[out.length - 1] = (loop - out.length) & 0xff;
  movEax(231); // exit_group(0)
  xor(0xff);
  out.push(0x0f, 0x05);
  const code = Buffer.from(out);
  for (const { at, offset } of fixes) code.writeInt32LE(code.length + offset - at, at - 4);
  return Buffer.concat([code, data()]);
}

function arm64(): Buffer {
  const out: number[] = [];
  const fixes: { index: number; register: number; offset: number }[] = [];
  const mov = (register: number, value: number) => out.push((0xd2800000 | (value << 5) | register) >>> 0);
  const adr = (register: number, offset: number) => {
    fixes.push({ index: out.length, register, offset });
    out.push(0);
  };
  const call = (number: number) => {
    mov(3, 8);
    mov(8, number);
    out.push(0xd4000001);
  };
  mov(0, 17);
  adr(1, 0);
  mov(2, 0);
  call(134); // rt_sigaction
  mov(0, 0);
  adr(1, 32);
  mov(2, 0);
  call(135); // rt_sigprocmask
  const loop = out.length;
  adr(0, 32);
  mov(1, 0);
  mov(2, 0);
  call(137); // rt_sigtimedwait
  out.push((0x37000000 | (31 << 19) | (((loop - out.length) & 0x3fff) << 5)) >>> 0); // tbnz w0, #31, loop
  mov(0, 0);
  mov(8, 94); // exit_group
  out.push(0xd4000001);
  for (const { index, register, offset } of fixes) {
    const distance = (out.length - index) * 4 + offset;
    out[index] = (0x10000000 | ((distance & 3) << 29) | ((distance >> 2) << 5) | register) >>> 0;
  }
  const code = Buffer.alloc(out.length * 4);
  out.forEach((word, i) => code.writeUInt32LE(word, i * 4));
  return Buffer.concat([code, data()]);
}
