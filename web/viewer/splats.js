/** From the columns of a scene to what renderer and picking need. */

const SH_C0 = 0.28209479177387814;
const SH_COEFFICIENTS = [0, 3, 8, 15];

/**
 * @typedef {object} Splats
 * @property {number} count
 * @property {Float32Array} centers three of each
 * @property {Float32Array} scales three of each
 * @property {Float32Array} rotations unit quaternions x, y, z, w
 * @property {Float32Array} opacities
 * @property {Float32Array} colours red, green, blue of each
 * @property {ArrayLike<number>[]} rest columns `f_rest_*`, channel after channel
 * @property {number} degree of the spherical harmonics
 */

/**
 * @param {Map<string, ArrayLike<number>>} columns
 * @param {number} count
 * @returns {Splats}
 */
export function splatsOf(columns, count) {
  const constant = (/** @type {number} */ value) => new Float32Array(count).fill(value);
  const column = (/** @type {string} */ name, /** @type {number} */ value) =>
    columns.get(name) ?? constant(value);
  const small = Math.log(0.01);
  const scaleNames = ['scale_0', 'scale_1', 'scale_2'];
  const flat = columns.has('scale_0') && !columns.has('scale_2') ? -20 : small;
  const opacity = column('opacity', 3);
  const rotation = interleave([
    column('rot_1', 0),
    column('rot_2', 0),
    column('rot_3', 0),
    column('rot_0', 1),
  ]);
  normalise(rotation);
  const rest = [...columns.keys()].filter((name) => /^f_rest_\d+$/.test(name));
  const degree = Math.max(0, SH_COEFFICIENTS.indexOf(rest.length / 3));
  return {
    count,
    centers: interleave([column('x', 0), column('y', 0), column('z', 0)]),
    scales: interleave(scaleNames.map((name) => column(name, flat))).map(Math.exp),
    rotations: rotation,
    opacities: Float32Array.from(opacity, (logit) => 1 / (1 + Math.exp(-logit))),
    colours: interleave([0, 1, 2].map((i) => column(`f_dc_${i}`, 0))).map((dc) => 0.5 + SH_C0 * dc),
    rest: Array.from({ length: 3 * SH_COEFFICIENTS[degree] }, (_, i) => column(`f_rest_${i}`, 0)),
    degree,
  };
}

function interleave(/** @type {ArrayLike<number>[]} */ columns) {
  const width = columns.length;
  const together = new Float32Array(width * columns[0].length);
  columns.forEach((column, c) => {
    for (let i = 0; i < column.length; i++) together[width * i + c] = column[i];
  });
  return together;
}

function normalise(/** @type {Float32Array} */ quaternions) {
  for (let i = 0; i < quaternions.length; i += 4) {
    const length = Math.hypot(quaternions[i], quaternions[i + 1], quaternions[i + 2], quaternions[i + 3]);
    for (let c = i; c < i + 4; c++) quaternions[c] = length > 0 ? quaternions[c] / length : c === i + 3 ? 1 : 0;
  }
}

/** Where most of the scene is: its middle, and a radius around it. */
export function extentOf(/** @type {Splats} */ { centers, count }) {
  const middle = [0, 0, 0];
  let radius = 0;
  for (let axis = 0; axis < 3; axis++) {
    const sorted = Float32Array.from({ length: count }, (_, i) => centers[3 * i + axis]).sort();
    const low = sorted[Math.floor(0.05 * (count - 1))] ?? 0;
    const high = sorted[Math.floor(0.95 * (count - 1))] ?? 0;
    middle[axis] = (low + high) / 2;
    radius = Math.max(radius, (high - low) / 2);
  }
  return { middle, radius: radius || 1 };
}
