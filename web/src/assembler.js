/**
 * A small assembler of WebAssembly modules, enough for vector kernels. Instructions are nested
 * arrays of bytes in the order of the binary format; operands of an instruction come first.
 *
 * @typedef {number | Code[]} Code
 */

const I32 = 0x7f;
const V128 = 0x7b;
const NO_RESULT = 0x40;
const PAGE = 65536;

/** @param {number} value @returns {number[]} */
function unsigned(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return [...bytes, value];
}

/** @param {number} value @returns {number[]} */
function signed(value) {
  const bytes = [];
  for (; value < -64 || value > 63; value >>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value & 127];
}

const text = (/** @type {string} */ name) => [...unsigned(name.length), ...new TextEncoder().encode(name)];
const vector = (/** @type {Code[]} */ items) => [unsigned(items.length), items];
const sized = (/** @type {Code} */ code) => {
  const bytes = flat(code);
  return [unsigned(bytes.length), bytes];
};
const section = (/** @type {number} */ id, /** @type {Code[]} */ items) => [id, sized(vector(items))];
const flat = (/** @type {Code} */ code) => /** @type {number[]} */ ([code].flat(Infinity));
const simd = (/** @type {number} */ number) => [0xfd, unsigned(number)];

/** An operation of two operands. */
const binary =
  (/** @type {Code} */ opcode) =>
  (/** @type {Code} */ a, /** @type {Code} */ b) => [a, b, opcode];

/** A load with a constant offset; `alignment` is the logarithm of the bytes. */
const load =
  (/** @type {Code} */ opcode, /** @type {number} */ alignment) =>
  (/** @type {Code} */ address, offset = 0) => [address, opcode, alignment, unsigned(offset)];

const store =
  (/** @type {Code} */ opcode, /** @type {number} */ alignment) =>
  (/** @type {Code} */ address, /** @type {Code} */ value, offset = 0) => [
    address,
    value,
    opcode,
    alignment,
    unsigned(offset),
  ];

export const i32 = {
  const: (/** @type {number} */ value) => [0x41, signed(value)],
  add: binary(0x6a),
  sub: binary(0x6b),
  mul: binary(0x6c),
  shl: binary(0x74),
};

export const v128 = {
  load: load(simd(0), 4),
  load32Splat: load(simd(9), 2),
  load64Splat: load(simd(10), 3),
  store: store(simd(11), 4),
};

export const i16x8 = {
  splat: (/** @type {Code} */ value) => [value, simd(16)],
  narrow: binary(simd(133)),
  min: binary(simd(150)),
  max: binary(simd(152)),
};

export const i32x4 = {
  shiftRight: binary(simd(172)),
  add: binary(simd(174)),
  /** Products of 16-bit lanes, added in pairs. */
  dot: binary(simd(186)),
};

export const f64x2 = {
  add: binary(simd(240)),
  mul: binary(simd(242)),
};

/** Run `body` as long as the counter, which it starts from above 0, is not used up. */
export const repeat = (/** @type {Local} */ counter, /** @type {Code[]} */ body) => [
  0x03,
  NO_RESULT,
  body,
  counter.set(i32.sub(counter.get, i32.const(1))),
  counter.get,
  [0x0d, 0],
  0x0b,
];

/** A parameter or local variable. */
class Local {
  constructor(/** @type {number} */ number) {
    this.number = number;
    this.get = [0x20, unsigned(number)];
  }

  set(/** @type {Code} */ value) {
    return [value, 0x21, unsigned(this.number)];
  }

  add(/** @type {Code} */ value) {
    return this.set(i32.add(this.get, value));
  }
}

/** A function without result, under construction. */
export class Func {
  #i32 = 0;
  #v128 = 0;

  /** @param {string} name @param {number} parameters all of type i32 */
  constructor(name, parameters) {
    this.name = name;
    this.parameters = Array.from({ length: parameters }, (_, i) => new Local(i));
    /** @type {Code[]} */
    this.body = [];
  }

  /** A new i32; all of them must be made before the first v128. */
  i32() {
    return new Local(this.parameters.length + this.#i32++);
  }

  v128() {
    return new Local(this.parameters.length + this.#i32 + this.#v128++);
  }

  get type() {
    return [0x60, vector(this.parameters.map(() => I32)), vector([])];
  }

  get code() {
    const locals = vector([
      [unsigned(this.#i32), I32],
      [unsigned(this.#v128), V128],
    ]);
    return sized([locals, this.body, 0x0b]);
  }
}

/**
 * Compile functions that share an imported memory; `null` where WebAssembly vectors are missing.
 *
 * @param {Func[]} functions
 */
export function compile(functions) {
  try {
    return new WebAssembly.Module(assemble(functions));
  } catch {
    return null;
  }
}

/** A memory and the functions of a module that work on it. */
export class Kernels {
  /** Bytes that are taken. */
  #taken = 0;

  /** @param {WebAssembly.Module} module */
  constructor(module) {
    this.memory = new WebAssembly.Memory({ initial: 1 });
    /** @type {Record<string, (...parameters: number[]) => void>} */
    this.functions = /** @type {any} */ (
      new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports
    );
  }

  /** Take bytes of the memory; views of it that exist are void then. */
  take(/** @type {number} */ bytes) {
    const at = this.#taken;
    this.#taken += Math.ceil(bytes / 16) * 16;
    const missing = this.#taken - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    return at;
  }
}

/** The binary form of a module of functions that imports its memory as `env.memory`. */
function assemble(/** @type {Func[]} */ functions) {
  const memory = [text('env'), text('memory'), 2, 0, 1];
  return Uint8Array.from(
    flat([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, functions.map((func) => func.type)),
      section(2, [memory]),
      section(3, functions.map((_, i) => unsigned(i))),
      section(7, functions.map((func, i) => [text(func.name), 0, unsigned(i)])),
      section(10, functions.map((func) => func.code)),
    ]),
  );
}
