/** Writing a scene as PLY, in the layout of the schema (spec 9). */

import { TYPES } from './properties.js';

/**
 * @typedef {import('./properties.js').TypeName} TypeName
 */

/**
 * @param {import('./scene.js').Scene} scene
 * @returns {Uint8Array}
 */
export function writePly({ schema, columns, count, elements }) {
  const { layout } = schema;
  const vertex = {
    name: 'vertex',
    count,
    comments: layout.vertex_comments.map((line) => `comment ${line}`),
    properties: [...columns.keys()].map((name) => `property ${TYPES[schema.type(name)].ply} ${name}`),
    rows: vertexRows(columns, schema),
  };
  const others = elements.map((element) => ({
    ...element,
    properties: element.properties.map(propertyLine),
    rows: elementRows(element),
  }));
  const all = others.toSpliced(Math.min(layout.vertex_index, others.length), 0, vertex);
  const format = layout.text ? 'ascii' : layout.byte_order === '<' ? 'binary_little_endian' : 'binary_big_endian';
  const header = [
    'ply',
    `format ${format} 1.0`,
    ...layout.comments.map((line) => `comment ${line}`),
    ...layout.obj_info.map((line) => `obj_info ${line}`),
    ...all.flatMap(({ name, count: rows, comments, properties }) => [
      `element ${name} ${rows}`,
      ...comments,
      ...properties,
    ]),
    'end_header',
  ];
  const out = layout.text ? new TextRows() : new BinaryRows(layout.byte_order === '<');
  for (const { rows } of all) for (const row of rows) out.add(row);
  return join(new TextEncoder().encode(`${header.join('\n')}\n`), out.bytes());
}

/** @typedef {[TypeName, number][]} Row values with their types */

/** @returns {Iterable<Row>} */
function* vertexRows(
  /** @type {Map<string, import('./properties.js').Column>} */ columns,
  /** @type {import('./schema.js').Schema} */ schema,
) {
  const arrays = [...columns.values()];
  /** @type {Row} */
  const row = [...columns.keys()].map((name) => [schema.type(name), 0]);
  for (let i = 0; i < (arrays[0]?.length ?? 0); i++) {
    arrays.forEach((array, c) => (row[c][1] = array[i]));
    yield row;
  }
}

/** @returns {Iterable<Row>} */
function* elementRows(/** @type {import('./elements.js').Element} */ { properties, rows }) {
  for (const row of rows) {
    yield properties.flatMap(({ type, length }, p) => {
      /** @type {Row} */
      const values = row[p].map((value) => [type, value]);
      return length === null ? values : [[length, values.length], ...values];
    });
  }
}

function propertyLine(/** @type {import('./elements.js').ElementProperty} */ { name, type, length }) {
  const list = length === null ? '' : `list ${TYPES[length].ply} `;
  return `property ${list}${TYPES[type].ply} ${name}`;
}

/** Rows of a binary file. */
class BinaryRows {
  #buffer = new DataView(new ArrayBuffer(1 << 16));
  #length = 0;

  constructor(/** @type {boolean} */ little) {
    this.little = little;
  }

  add(/** @type {Row} */ row) {
    for (const [type, value] of row) {
      const { size, set } = TYPES[type];
      if (this.#length + size > this.#buffer.byteLength) this.#grow();
      /** @type {any} */ (this.#buffer)[set](this.#length, value, this.little);
      this.#length += size;
    }
  }

  #grow() {
    const grown = new Uint8Array(2 * this.#buffer.byteLength);
    grown.set(new Uint8Array(this.#buffer.buffer));
    this.#buffer = new DataView(grown.buffer);
  }

  bytes() {
    return new Uint8Array(this.#buffer.buffer, 0, this.#length);
  }
}

/** Rows of an ASCII file. */
class TextRows {
  /** @type {string[]} */
  #lines = [];

  add(/** @type {Row} */ row) {
    this.#lines.push(row.map(([type, value]) => digits(type, value)).join(' '));
  }

  bytes() {
    return new TextEncoder().encode(this.#lines.map((line) => `${line}\n`).join(''));
  }
}

/** The shortest decimal number that reads back as the value. */
function digits(/** @type {TypeName} */ type, /** @type {number} */ value) {
  if (Object.is(value, -0)) return '-0';
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (type !== 'f4') return String(value);
  for (let precision = 6; precision < 9; precision++) {
    const text = value.toPrecision(precision);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

function join(/** @type {Uint8Array} */ a, /** @type {Uint8Array} */ b) {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
