/** Level compensation (spec 10). */

import { Kind } from './kinds.js';

const WINDOW = 8;
const NEAREST = 4;

/**
 * Change scales and opacities in place.
 *
 * @param {Map<string, import('./properties.js').Column>} columns
 * @param {{ kind: number, columns: string[] }[]} groups
 * @param {import('./rows.js').Segment[]} segments
 * @param {number} layers that the level holds
 * @param {import('./levels.js').Compensation} compensation
 */
export function compensate(columns, groups, segments, layers, compensation) {
  const of = (/** @type {number} */ kind) => {
    const names = groups.find((group) => group.kind === kind)?.columns ?? [];
    return names.flatMap((name) => columns.get(name) ?? []);
  };
  const scales = of(Kind.SCALE);
  if (scales.length > 0) growScales(scales, of(Kind.POSITION), segments, layers, compensation);
  for (const opacities of of(Kind.OPACITY)) deepen(opacities, compensation);
}

function growScales(
  /** @type {import('./properties.js').Column[]} */ scales,
  /** @type {import('./properties.js').Column[]} */ positions,
  /** @type {import('./rows.js').Segment[]} */ segments,
  /** @type {number} */ layers,
  /** @type {import('./levels.js').Compensation} */ { scaleOffset, spacingPull },
) {
  for (const [tile, places] of canonicalPlaces(segments)) {
    const rows = tile.order(layers - 1).map((row) => places[row]);
    const spacings = spacingsOf(rows, positions);
    rows.forEach((row, i) => {
      const pull = Math.min(Math.max(spacings[i] - sizeOf(scales, row), -2), 3);
      const growth = scaleOffset + spacingPull * pull;
      for (const scale of scales) scale[row] += growth;
    });
  }
}

/** Canonical row of each row of each tile. */
function canonicalPlaces(/** @type {import('./rows.js').Segment[]} */ segments) {
  /** @type {Map<import('./tile.js').Tile, Int32Array>} */
  const tiles = new Map();
  for (const { tile, from, to, at } of segments) {
    const places = tiles.get(tile) ?? new Int32Array(tile.rows);
    for (let row = from; row < to; row++) places[row] = at + row - from;
    tiles.set(tile, places);
  }
  return tiles;
}

/** Logarithm of the typical distance of each row to those near it on the curve. */
function spacingsOf(
  /** @type {Int32Array} */ rows,
  /** @type {import('./properties.js').Column[]} */ positions,
) {
  const count = rows.length;
  const [x, y, z] = positions.map((column) => Float64Array.from(rows, (row) => column[row]));
  const used = Math.min(NEAREST, count - 1);
  const nearest = new Float64Array(NEAREST);
  return Float64Array.from(rows, (_, i) => {
    nearest.fill(Infinity);
    for (let j = Math.max(0, i - WINDOW); j <= Math.min(count - 1, i + WINDOW); j++) {
      if (j === i) continue;
      const dx = x[j] - x[i];
      const dy = y[j] - y[i];
      const dz = z[j] - z[i];
      const d = dx * dx + dy * dy + dz * dz;
      let to = NEAREST;
      for (; to > 0 && nearest[to - 1] > d; to--) if (to < NEAREST) nearest[to] = nearest[to - 1];
      if (to < NEAREST) nearest[to] = d;
    }
    let sum = 0;
    for (let j = 0; j < used; j++) sum += nearest[j];
    return 0.5 * Math.log((used > 0 ? sum / used : 0) + 1e-20);
  });
}

/** Mean of the two largest log scales of a row. */
function sizeOf(
  /** @type {import('./properties.js').Column[]} */ scales,
  /** @type {number} */ row,
) {
  let first = -Infinity;
  let second = -Infinity;
  for (const scale of scales) {
    const value = scale[row];
    if (value > first) {
      second = first;
      first = value;
    } else if (value > second) {
      second = value;
    }
  }
  return scales.length > 1 ? (first + second) / 2 : first;
}

function deepen(
  /** @type {import('./properties.js').Column} */ opacities,
  /** @type {import('./levels.js').Compensation} */ { depthGain, depthExponent },
) {
  const gain = Math.exp(depthGain);
  for (let row = 0; row < opacities.length; row++) {
    const logit = Math.min(Math.max(opacities[row], -60), 60);
    const opacity = Math.min(1 / (1 + Math.exp(-logit)), 0.999);
    const depth = -Math.log1p(-opacity);
    const deeper = Math.min(gain * depth ** depthExponent, 60);
    opacities[row] = Math.log(Math.expm1(deeper) + 1e-30);
  }
}
