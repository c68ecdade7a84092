/** Labels of a tile layer (spec 5.6). */

import { require } from './errors.js';
import { NEIGHBOURS } from './neighbours.js';
import { roundRows } from './tile.js';

const SAME = 0;
const OTHER = 1;
const EXPLICIT = 2;

/**
 * @param {import('./tile.js').Tile} tile
 * @param {number} layer
 * @param {number} group
 * @param {import('./codings.js').LabelCoding} coding
 * @param {import('./rans.js').Rans} rans
 * @param {import('./bits.js').BitReader} bits
 */
export function decodeLabels(tile, layer, group, coding, rans, bits) {
  const rounds = tile.head.rounds[layer];
  for (let round = 0; round < rounds; round++) {
    const rows = roundRows(round, rounds);
    decodeRound(tile, layer, tile.values(group), coding, rows, rans, bits);
  }
}

function decodeRound(
  /** @type {import('./tile.js').Tile} */ tile,
  /** @type {number} */ layer,
  /** @type {Int32Array} */ labels,
  /** @type {import('./codings.js').LabelCoding} */ coding,
  /** @type {{ first: number, step: number }} */ { first, step },
  /** @type {import('./rans.js').Rans} */ rans,
  /** @type {import('./bits.js').BitReader} */ bits,
) {
  const count = tile.counts[layer];
  const start = tile.starts[layer];
  const neighbours = tile.neighbours(layer);
  const tables = new Uint8Array(count);
  let asked = 0;
  for (let i = first; i < count; i += step) {
    if (neighbours.counts[i] > 0) tables[asked++] = look(neighbours, i, labels).agree - 1;
  }
  const choices = rans.stage(coding.agreement, tables, asked);
  const explicit = [];
  asked = 0;
  for (let i = first; i < count; i += step) {
    const choice = neighbours.counts[i] > 0 ? choices[asked++] : EXPLICIT;
    if (choice === EXPLICIT) {
      explicit.push(start + i);
      continue;
    }
    const near = look(neighbours, i, labels);
    require(choice === SAME || near.other >= 0, 'a label is the other one where there is none');
    labels[start + i] = choice === OTHER ? near.other : near.first;
  }
  const indices = readIndices(explicit.length, coding, rans, bits);
  explicit.forEach((row, i) => (labels[row] = indices[i]));
}

/** What the labels of the neighbours say; `other` is -1 if they all agree. */
function look(
  /** @type {import('./neighbours.js').Neighbours} */ { rows, counts },
  /** @type {number} */ i,
  /** @type {Int32Array} */ labels,
) {
  const from = NEIGHBOURS * i;
  const first = labels[rows[from]];
  let agree = 0;
  let other = -1;
  for (let j = from; j < from + counts[i]; j++) {
    const label = labels[rows[j]];
    if (label === first) agree++;
    else if (other < 0) other = label;
  }
  return { first, other, agree: other < 0 ? NEIGHBOURS : agree };
}

function readIndices(
  /** @type {number} */ count,
  /** @type {import('./codings.js').LabelCoding} */ { palette, explicit },
  /** @type {import('./rans.js').Rans} */ rans,
  /** @type {import('./bits.js').BitReader} */ bits,
) {
  if (explicit) return rans.stage(explicit, new Uint8Array(count), count);
  const width = 32 - Math.clz32(palette.length - 1);
  const indices = Int32Array.from({ length: count }, () => bits.read(width));
  require(indices.every((index) => index < palette.length), 'a label is not in the palette');
  return indices;
}
