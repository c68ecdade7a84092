/** Networks (spec 7.4, numerics 9). */

import { Kind, isResidual } from './kinds.js';
import { GroupCoding } from './codings.js';
import { NEIGHBOURS } from './neighbours.js';
import { readSideStream } from './side_stream.js';

const MAX_INPUTS = 4096;
const MAX_WEIGHTS = 2 ** 20;
const BOUND = 2 ** 24;
const START_INDEX = 30;

/**
 * @typedef {object} ChannelList channels of a group that are inputs
 * @property {number} group
 * @property {number} width
 * @property {number[]} centre centre_q6
 * @property {number[]} shift
 *
 * @typedef {object} Layer
 * @property {number} inputs
 * @property {number} outputs
 * @property {number} shift
 * @property {Int16Array} weights row after row; a row is an input
 * @property {Int32Array} bias times 256
 */

export class Network {
  /**
   * @param {import('./fields.js').FieldReader} fields behind the group
   * @param {import('./head.js').Head} head
   * @param {number} group
   * @param {import('./limits.js').ModelBudget} budget
   */
  constructor(fields, head, group, budget) {
    const { channels } = head.groups[group];
    this.octaves = fields.u8('octaves', 0, 12);
    this.layerInputs = fields.u8('layer_inputs', 0, 16);
    this.neighbours = fields.u8('neighbours', 0, NEIGHBOURS);
    this.stepClass = fields.u8('step_class', 0, 1);
    /** @type {ChannelList} */
    this.nearby = { group, width: 0, centre: [], shift: [] };
    if (this.neighbours > 0) {
      this.nearby = readChannelList(fields, head);
      fields.require(this.nearby.group === group, 'the nearby channels are those of another group');
    }
    this.own = this.#readOwn(fields, head, group);
    this.blended = fields.u8('blended', 0, 1) === 1;
    this.decay = this.blended ? fields.u8() : 0;
    this.gain = this.blended ? fields.list(channels, () => fields.u8()) : [];
    const widths = fields.list(fields.u8('hidden', 0, 4), () => fields.u16('width', 1, 256));
    fields.require(this.inputs <= MAX_INPUTS, `a network has ${this.inputs} inputs`);
    /** @type {Layer[]} */
    this.layers = [];
    let inputs = this.inputs;
    for (const outputs of [...widths, 2 * channels]) {
      this.layers.push(readLayer(fields, inputs, outputs, budget));
      inputs = outputs;
    }
    fields.finish();
  }

  /** Inputs of the first layer (spec 7.3). */
  get inputs() {
    const own = this.own.reduce((sum, { width }) => sum + width, 0);
    const nearby = this.neighbours * (this.nearby.width + 1);
    return 6 * this.octaves + this.layerInputs + nearby + own + this.stepClass;
  }

  #readOwn(
    /** @type {import('./fields.js').FieldReader} */ fields,
    /** @type {import('./head.js').Head} */ head,
    /** @type {number} */ group,
  ) {
    let before = 0;
    return fields.list(fields.u8('own'), () => {
      const list = readChannelList(fields, head);
      const rising = list.group > before && list.group < group;
      fields.require(rising, 'the groups of own channels do not increase below the group');
      before = list.group;
      return list;
    });
  }
}

/**
 * Read a NETW chunk.
 *
 * @param {import('./fields.js').FieldReader} fields
 * @param {import('./head.js').Head} head
 * @param {import('./codings.js').Coding[]} codings by group
 * @param {Network[]} networks read so far, by group
 * @param {import('./limits.js').ModelBudget} budget
 * @returns {number} the group
 */
export function readNetwork(fields, head, codings, networks, budget) {
  const group = fields.u8('group', 0, head.groups.length - 1);
  fields.require(isResidual(head.groups[group].kind), `group ${group} needs no network`);
  fields.require(codings[group] instanceof GroupCoding, `group ${group} is not described yet`);
  fields.require(networks[group] === undefined, `group ${group} has a network already`);
  networks[group] = new Network(fields, head, group, budget);
  return group;
}

/** @returns {ChannelList} */
function readChannelList(
  /** @type {import('./fields.js').FieldReader} */ fields,
  /** @type {import('./head.js').Head} */ head,
) {
  const group = fields.u8('group', 0, head.groups.length - 1);
  fields.require(head.groups[group].kind !== Kind.POSITION, 'positions are no inputs');
  const width = fields.u16('width', 0, head.groups[group].channels);
  const centre = fields.list(width, () => fields.i32());
  const shift = fields.list(width, () => fields.u8('shift', 0, 30));
  return { group, width, centre, shift };
}

/** @returns {Layer} */
function readLayer(
  /** @type {import('./fields.js').FieldReader} */ fields,
  /** @type {number} */ inputs,
  /** @type {number} */ outputs,
  /** @type {import('./limits.js').ModelBudget} */ budget,
) {
  const shift = fields.u8('shift', 1, 16);
  const biasIndex = fields.u8('bias_index', 1, 63);
  fields.require(inputs * outputs <= MAX_WEIGHTS, 'a layer has too many weights');
  budget.take(inputs * outputs);
  const steps = readSideStream(fields.blob(), new Uint8Array(inputs).fill(START_INDEX));
  const indices = new Uint8Array(inputs * outputs);
  let index = START_INDEX;
  for (let row = 0; row < inputs; row++) {
    index += steps[row];
    fields.require(index >= 1 && index <= 63, 'the scale index of a row of weights is out of range');
    indices.fill(index, row * outputs, (row + 1) * outputs);
  }
  const weights = readSideStream(fields.blob(), indices);
  const bias = readSideStream(fields.blob(), new Uint8Array(outputs).fill(biasIndex));
  fields.require(weights.every((weight) => Math.abs(weight) < 2 ** 15), 'a weight is too large');
  fields.require(bias.every((integer) => Math.abs(integer) < 2 ** 16), 'a bias is too large');
  const layer = {
    inputs,
    outputs,
    shift,
    weights: Int16Array.from(weights),
    bias: Int32Array.from(bias, (integer) => 256 * integer),
  };
  fields.require(isBounded(layer), 'a network exceeds the bound of its sums');
  return layer;
}

/** The bound that keeps every partial sum exact in binary32 (numerics 9.2). */
function isBounded(/** @type {Layer} */ { inputs, outputs, shift, weights, bias }) {
  const sums = Float64Array.from(bias, (integer) => Math.abs(integer) + 2 ** (shift - 1));
  for (let i = 0, at = 0; i < inputs; i++) {
    for (let j = 0; j < outputs; j++, at++) sums[j] += 255 * Math.abs(weights[at]);
  }
  return sums.every((sum) => sum < BOUND);
}
