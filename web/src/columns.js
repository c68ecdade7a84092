/** From integers to columns (spec 5.2, 5.3, 9). Here floating point is allowed. */

import { GroupCoding, NO_SENTINEL } from './codings.js';
import { CorruptError } from './errors.js';
import { Kind } from './kinds.js';
import { createTransform } from './transform.js';

/**
 * @typedef {import('./properties.js').Column} Column
 * @typedef {import('./rows.js').Segment} Segment
 * @typedef {(group: number, layer: number) => boolean} Held whether the level holds a group of a layer
 */

/**
 * @param {import('./head.js').Head} head
 * @param {Segment[]} segments
 * @param {Held} held
 * @param {Column[]} targets x, y, z
 */
export function positionColumns(head, segments, held, targets) {
  const fine = head.find(Kind.POSITION_FINE);
  const { origin, gridStep } = head;
  for (const { tile, layer, from, to, at } of segments) {
    const widths = fine >= 0 && held(fine, layer) ? tile.fineBits(layer) : null;
    const values = widths && tile.values(fine);
    targets.forEach((target, axis) => {
      const cells = tile.cells[axis];
      for (let row = from; row < to; row++) {
        const within = widths ? (values[3 * row + axis] + 0.5) / (1 << widths[row - from]) : 0.5;
        target[at + row - from] = origin[axis] + (tile.origin[axis] + cells[row] + within) * gridStep;
      }
    });
  }
}

/**
 * @param {number} group
 * @param {import('./codings.js').LabelCoding} coding
 * @param {Segment[]} segments
 * @param {Column} target
 */
export function labelColumn(group, { palette }, segments, target) {
  for (const { tile, from, to, at } of segments) {
    const labels = tile.values(group);
    for (let row = from; row < to; row++) target[at + row - from] = palette[labels[row]];
  }
}

/**
 * @param {import('./head.js').Head} head
 * @param {number} group
 * @param {import('./codings.js').Coding[]} codings
 * @param {Segment[]} segments
 * @param {Held} held
 * @param {Column[]} targets
 * @param {boolean} simd whether WebAssembly may be used
 */
export function residualColumns(head, group, codings, segments, held, targets, simd) {
  const coding = codings[group];
  if (!(coding instanceof GroupCoding)) throw new CorruptError(`group ${group} is not described`);
  const { kind, channels } = head.groups[group];
  const write = writerOf(kind, channels, coding, targets, simd);
  for (const { tile, layer, from, to, at } of segments) {
    const values = held(group, layer)
      ? tile.values(group).subarray(from * channels, to * channels)
      : new Int32Array((to - from) * channels);
    write(values, at, to - from);
    if (coding.sentinel !== NO_SENTINEL && held(coding.sentinel, layer)) {
      const { palette } = /** @type {import('./codings.js').LabelCoding} */ (codings[coding.sentinel]);
      const labels = tile.values(coding.sentinel);
      for (let row = from; row < to; row++) {
        if (labels[row] === 0) continue;
        for (const target of targets) target[at + row - from] = palette[labels[row]];
      }
    }
  }
}

/** @typedef {(values: Int32Array, first: number, rows: number) => void} Writer of rows */

/** @returns {Writer} */
function writerOf(
  /** @type {number} */ kind,
  /** @type {number} */ channels,
  /** @type {GroupCoding} */ { step, centre, transform },
  /** @type {Column[]} */ targets,
  /** @type {boolean} */ simd,
) {
  const unit = step / 64;
  if (transform) {
    const product = createTransform(transform, centre, unit, targets.length, simd);
    return (values, first, rows) => product.write(values, first, rows, targets);
  }
  if (kind === Kind.ROTATION) {
    return (values, first, rows) => {
      for (let i = 0; i < rows; i++) {
        const [a, b, c] = centre.map((middle, axis) => values[3 * i + axis] * unit + middle);
        writeRotation(a, b, c, targets, first + i);
      }
    };
  }
  const isOpacity = kind === Kind.OPACITY;
  return (values, first, rows) => {
    targets.forEach((target, c) => {
      for (let i = 0; i < rows; i++) {
        const y = values[i * channels + c] * unit + centre[c];
        target[first + i] = isOpacity ? 3 * Math.sinh(y / 3) : y;
      }
    });
  };
}

function writeRotation(
  /** @type {number} */ a,
  /** @type {number} */ b,
  /** @type {number} */ c,
  /** @type {Column[]} */ [w, x, y, z],
  /** @type {number} */ row,
) {
  const n = a * a + b * b + c * c;
  const m = Math.min(n, 4);
  const r = Math.sqrt(Math.min(1, 4 / Math.max(n, 4))) * Math.sqrt(1 - m / 4);
  w[row] = 1 - m / 2;
  x[row] = a * r;
  y[row] = b * r;
  z[row] = c * r;
}
