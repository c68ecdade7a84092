/** DATA chunks (spec 6.1). */

import { BitReader } from './bits.js';
import { bytesOf } from './properties.js';
import { decodeLabels } from './labels.js';
import { decodeResiduals } from './residuals.js';
import { Kind, isLabel } from './kinds.js';
import { readKeys } from './positions.js';
import { Rans } from './rans.js';

/**
 * @typedef {object} Tools what the chunks before say of groups
 * @property {import('./tables.js').Tables} positions
 * @property {import('./codings.js').Coding[]} codings by group
 * @property {import('./network.js').Network[]} networks by group
 * @property {import('./forward.js').Forward[]} forwards by group
 */

/**
 * Decode the groups of a pass in a tile layer.
 *
 * @param {import('./tile.js').Tile} tile
 * @param {import('./head.js').Pass} pass
 * @param {Tools} tools
 * @param {Uint8Array} symbols rANS stream
 * @param {Uint8Array} rest plain bits
 */
export function decodeData(tile, { layer, groups }, tools, symbols, rest) {
  const rans = new Rans(symbols);
  const bits = new BitReader(rest);
  for (const group of groups) decodeGroup(tile, layer, group, tools, rans, bits);
  rans.finish();
  bits.finish();
}

function decodeGroup(
  /** @type {import('./tile.js').Tile} */ tile,
  /** @type {number} */ layer,
  /** @type {number} */ group,
  /** @type {Tools} */ { positions, codings, networks, forwards },
  /** @type {Rans} */ rans,
  /** @type {BitReader} */ bits,
) {
  const { kind } = tile.head.groups[group];
  const coding = /** @type {any} */ (codings[group]);
  if (kind === Kind.POSITION) {
    const known = knownKeys(tile, layer);
    tile.setKeys(layer, readKeys(tile.counts[layer], tile.box.depth, known, positions, rans, bits));
  } else if (kind === Kind.POSITION_FINE) {
    readFine(tile, layer, group, coding, bits);
  } else if (isLabel(kind)) {
    decodeLabels(tile, layer, group, coding, rans, bits);
  } else {
    decodeResiduals(tile, layer, group, coding, networks[group], forwards[group], rans, bits);
  }
}

/** Keys of the layers below `layer`, sorted. */
function knownKeys(/** @type {import('./tile.js').Tile} */ tile, /** @type {number} */ layer) {
  const known = new Uint32Array(2 * tile.starts[layer]);
  tile.order(layer - 1).forEach((row, i) => {
    known[2 * i] = tile.keys[2 * row];
    known[2 * i + 1] = tile.keys[2 * row + 1];
  });
  return known;
}

/** Fine positions (spec 6.3). */
function readFine(
  /** @type {import('./tile.js').Tile} */ tile,
  /** @type {number} */ layer,
  /** @type {number} */ group,
  /** @type {import('./steps.js').StepRule} */ rule,
  /** @type {BitReader} */ bits,
) {
  const values = tile.values(group);
  const widths = rule.classes(tile, layer, group);
  tile.setFineBits(layer, widths);
  widths.forEach((width, i) => {
    const at = 3 * (tile.starts[layer] + i);
    for (let axis = 0; axis < 3; axis++) values[at + axis] = bits.read(width);
  });
}

/**
 * The integers of a group in a tile layer as digests see them (spec 8.3).
 *
 * @param {import('./tile.js').Tile} tile
 * @param {number} layer
 * @param {number} group
 */
export function integerBytes(tile, layer, group) {
  const { kind, channels } = tile.head.groups[group];
  const [from, to] = [tile.starts[layer], tile.starts[layer + 1]];
  if (kind === Kind.POSITION) return bytesOf(tile.layerKeys(layer));
  return bytesOf(tile.values(group).subarray(from * channels, to * channels));
}
