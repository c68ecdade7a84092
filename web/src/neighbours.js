/** Neighbours and distance codes (spec 7.2). */

import { isBelow } from './morton.js';
import { roundOf } from './tile.js';

export const NEIGHBOURS = 8;
export const MISSING = 255;
const WINDOW = 8;

/**
 * @typedef {object} Neighbours of the rows of a tile layer
 * @property {Int32Array} rows of the tile; eight for each row, nearest first
 * @property {Uint8Array} codes distance codes in the same places; `MISSING` behind the last
 * @property {Uint8Array} counts how many there are of each row
 */

/**
 * @param {import('./tile.js').Tile} tile
 * @param {number} layer
 * @param {number} rounds
 * @returns {Neighbours}
 */
export function findNeighbours(tile, layer, rounds) {
  const count = tile.counts[layer];
  const neighbours = {
    rows: new Int32Array(NEIGHBOURS * count),
    codes: new Uint8Array(NEIGHBOURS * count).fill(MISSING),
    counts: new Uint8Array(count),
  };
  const search = new Search(tile, layer, rounds);
  for (let round = 0; round < rounds; round++) search.run(round, neighbours);
  return neighbours;
}

/** Buffers of the search in one tile layer. */
class Search {
  constructor(
    /** @type {import('./tile.js').Tile} */ tile,
    /** @type {number} */ layer,
    /** @type {number} */ rounds,
  ) {
    this.cells = tile.cells;
    this.start = tile.starts[layer];
    this.curve = new Curve(tile.order(layer), tile.keys);
    this.shifted = new Curve(tile.shiftedOrder(layer), tile.shiftedKeys);
    const rows = tile.starts[layer + 1];
    /** Round of each row; rows of earlier layers are there before the first. */
    this.rounds = new Int8Array(rows).fill(-1);
    for (let row = this.start; row < rows; row++) this.rounds[row] = roundOf(row - this.start, rounds);
    this.place = new Int32Array(rows);
    /** Cells of the members of `K`, three numbers each. */
    this.points = new Int32Array(3 * rows);
    this.candidates = new Int32Array(4 * WINDOW);
    this.distances = new Float64Array(NEIGHBOURS);
    this.places = new Int32Array(NEIGHBOURS);
    this.bits = new Uint32Array(this.distances.buffer);
  }

  /** Find the neighbours of the rows of a round. */
  run(/** @type {number} */ round, /** @type {Neighbours} */ neighbours) {
    const { cells, curve, shifted, place, rounds, start, points } = this;
    const size = curve.collect(rounds, round);
    for (let at = 0; at < size; at++) {
      const row = curve.members[at];
      place[row] = at;
      points[3 * at] = cells[0][row];
      points[3 * at + 1] = cells[1][row];
      points[3 * at + 2] = cells[2][row];
    }
    shifted.collect(rounds, round);
    for (let at = 0; at < size; at++) shifted.members[at] = place[shifted.members[at]];

    for (let row = start; row < rounds.length; row++) {
      if (rounds[row] === round) this.#choose(row, size, neighbours);
    }
  }

  #choose(
    /** @type {number} */ row,
    /** @type {number} */ size,
    /** @type {Neighbours} */ neighbours,
  ) {
    const { cells, points, candidates, distances, places } = this;
    const cx = cells[0][row];
    const cy = cells[1][row];
    const cz = cells[2][row];
    const count = this.#gather(row, size);
    let found = 0;
    for (let i = 0; i < count; i++) {
      const at = candidates[i];
      const dx = points[3 * at] - cx;
      const dy = points[3 * at + 1] - cy;
      const dz = points[3 * at + 2] - cz;
      const d = dx * dx + dy * dy + dz * dz;
      let to = found;
      while (to > 0 && (distances[to - 1] > d || (distances[to - 1] === d && places[to - 1] > at))) to--;
      if (to === NEIGHBOURS) continue;
      if (found < NEIGHBOURS) found++;
      for (let j = found - 1; j > to; j--) {
        distances[j] = distances[j - 1];
        places[j] = places[j - 1];
      }
      distances[to] = d;
      places[to] = at;
    }
    const i = row - this.start;
    neighbours.counts[i] = found;
    for (let j = 0; j < found; j++) {
      neighbours.rows[NEIGHBOURS * i + j] = this.curve.members[places[j]];
      neighbours.codes[NEIGHBOURS * i + j] = distanceCode(this.bits[2 * j + 1]);
    }
  }

  /** Candidates of a row, as places in `K`; return how many. */
  #gather(/** @type {number} */ row, /** @type {number} */ size) {
    const { curve, shifted, candidates } = this;
    const from = Math.max(0, curve.below[row] - WINDOW);
    const to = Math.min(size, curve.below[row] + WINDOW);
    let count = 0;
    for (let at = from; at < to; at++) candidates[count++] = at;
    const shiftedTo = Math.min(size, shifted.below[row] + WINDOW);
    for (let i = Math.max(0, shifted.below[row] - WINDOW); i < shiftedTo; i++) {
      const at = shifted.members[i];
      if (at < from || at >= to) candidates[count++] = at;
    }
    return count;
  }
}

/** Rows along one of the two curves. */
class Curve {
  constructor(/** @type {Int32Array} */ order, /** @type {Uint32Array} */ keys) {
    this.order = order;
    /** Whether a place starts a run of equal keys. */
    this.fresh = Uint8Array.from(order, (row, i) => (i === 0 || isBelow(keys, order[i - 1], row) ? 1 : 0));
    /** Members of `K`, or of `K'`. */
    this.members = new Int32Array(order.length);
    /** `p` of each row of the round: how many members have a key below its own. */
    this.below = new Int32Array(order.length);
  }

  /** Collect what is there before `round`; return how many. */
  collect(/** @type {Int8Array} */ rounds, /** @type {number} */ round) {
    const { order, fresh, members, below } = this;
    let size = 0;
    let run = 0;
    for (let i = 0; i < order.length; i++) {
      if (fresh[i] === 1) run = size;
      const row = order[i];
      if (rounds[row] < round) members[size++] = row;
      else if (rounds[row] === round) below[row] = run;
    }
    return size;
  }
}

/**
 * The distance code of a squared distance, from the upper word of its binary64 form: exponent and
 * upper mantissa bits are `e` and `f` of the specification.
 */
export function distanceCode(/** @type {number} */ upperWord) {
  return upperWord === 0 ? 0 : Math.min((upperWord >>> 18) - 4 * 1023 + 1, 254);
}
