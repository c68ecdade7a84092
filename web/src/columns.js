/** From integers to columns (spec 5.2, 5.3, 9). Here floating point is allowed. */

import { GroupCoding, NO_SENTINEL } from './codings.js';
import { CorruptError } from './errors.js';
import { Kind } from './kinds.js';

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
 */
export function residualColumns(head, group, codings, segments, held, targets) {
  const coding = codings[group];
  if (!(coding instanceof GroupCoding)) throw new CorruptError(`group ${group} is not described`);
  const { kind, channels } = head.groups[group];
  const write = writerOf(kind, channels, coding, targets);
  const zeros = new Int32Array(channels);
  for (const { tile, layer, from, to, at } of segments) {
    const values = held(group, layer) ? tile.values(group) : null;
    for (let row = from; row < to; row++) {
      if (values) write(at + row - from, values, row * channels);
      else write(at + row - from, zeros, 0);
    }
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

/** @typedef {(row: number, values: Int32Array, from: number) => void} Writer of one row */

/** @returns {Writer} */
function writerOf(
  /** @type {number} */ kind,
  /** @type {number} */ channels,
  /** @type {GroupCoding} */ { step, centre, transform },
  /** @type {Column[]} */ targets,
) {
  const unit = step / 64;
  if (transform) return transformWriter(channels, unit, centre, transform, targets);
  const y = (/** @type {Int32Array} */ values, /** @type {number} */ from, /** @type {number} */ c) =>
    values[from + c] * unit + centre[c];
  if (kind === Kind.ROTATION) {
    return (row, values, from) =>
      writeRotation(y(values, from, 0), y(values, from, 1), y(values, from, 2), targets, row);
  }
  const unwarp = kind === Kind.OPACITY ? (/** @type {number} */ v) => 3 * Math.sinh(v / 3) : null;
  return (row, values, from) => {
    for (let c = 0; c < targets.length; c++) {
      const v = y(values, from, c);
      targets[c][row] = unwarp ? unwarp(v) : v;
    }
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

/** @returns {Writer} */
function transformWriter(
  /** @type {number} */ channels,
  /** @type {number} */ unit,
  /** @type {number[]} */ centre,
  /** @type {{ mean: number[], basis: Float64Array }} */ { mean, basis },
  /** @type {Column[]} */ targets,
) {
  const M = targets.length;
  const start = Float64Array.from(mean);
  for (let c = 0; c < channels; c++) {
    for (let m = 0; m < M; m++) start[m] += centre[c] * basis[c * M + m];
  }
  const sums = new Float64Array(M);
  return (row, values, from) => {
    sums.set(start);
    for (let c = 0; c < channels; c++) {
      if (values[from + c] === 0) continue;
      const y = values[from + c] * unit;
      for (let m = 0, at = c * M; m < M; m++, at++) sums[m] += y * basis[at];
    }
    for (let m = 0; m < M; m++) targets[m][row] = sums[m];
  };
}
