/** Which Gaussian a pixel shows. */

const BLUR = 0.3;
const MIN_ALPHA = 1 / 255;
const MAX_SIGMA = 3;
const NEAR = 0.01;

/**
 * @typedef {object} Camera
 * @property {number[]} view 4 x 4, columns one after the other: from the scene to the camera, which
 *   looks along -z with y upward
 * @property {number} focal in pixels
 * @property {number} width
 * @property {number} height
 */

/**
 * The Gaussian that gives a pixel most of its colour: all that cover it are composited front to
 * back, and weighted with their alpha and with what those in front let through.
 *
 * @param {import('./splats.js').Splats} splats
 * @param {Camera} camera
 * @param {number} px
 * @param {number} py from the top
 * @returns {number} its row, or -1
 */
export function pick(splats, camera, px, py) {
  const hits = hitsOf(splats, camera, px, py).sort((a, b) => a.depth - b.depth);
  let through = 1;
  let best = -1;
  let most = 0;
  for (const { row, alpha } of hits) {
    if (through * alpha > most) {
      most = through * alpha;
      best = row;
    }
    through *= 1 - alpha;
    if (through < most) break;
  }
  return best;
}

/** Gaussians that cover the pixel. */
function hitsOf(
  /** @type {import('./splats.js').Splats} */ { count, centers, scales, rotations, opacities },
  /** @type {Camera} */ { view, focal, width, height },
  /** @type {number} */ px,
  /** @type {number} */ py,
) {
  const u = px - width / 2;
  const v = height / 2 - py;
  const hits = [];
  for (let row = 0; row < count; row++) {
    const [x, y, z] = transform(view, centers, 3 * row);
    const depth = -z;
    if (depth < NEAR) continue;
    const dx = u - (focal * x) / depth;
    const dy = v - (focal * y) / depth;
    const largest = Math.max(scales[3 * row], scales[3 * row + 1], scales[3 * row + 2]);
    const reach = MAX_SIGMA * ((2 * focal * largest) / depth + 1);
    if (dx * dx + dy * dy > reach * reach) continue;
    const [a, b, c] = covariance(view, scales, rotations, row, focal / depth, x / depth, y / depth);
    const power = (c * dx * dx - 2 * b * dx * dy + a * dy * dy) / (2 * (a * c - b * b));
    const alpha = opacities[row] * Math.exp(-power);
    if (alpha >= MIN_ALPHA) hits.push({ row, depth, alpha });
  }
  return hits;
}

function transform(
  /** @type {number[]} */ m,
  /** @type {Float32Array} */ p,
  /** @type {number} */ at,
) {
  return [0, 1, 2].map((i) => m[i] * p[at] + m[4 + i] * p[at + 1] + m[8 + i] * p[at + 2] + m[12 + i]);
}

/** Covariance of the footprint on the screen, `[[a, b], [b, c]]`, by the usual linearisation. */
function covariance(
  /** @type {number[]} */ view,
  /** @type {Float32Array} */ scales,
  /** @type {Float32Array} */ rotations,
  /** @type {number} */ row,
  /** @type {number} */ zoom,
  /** @type {number} */ slopeX,
  /** @type {number} */ slopeY,
) {
  let a = BLUR;
  let b = 0;
  let c = BLUR;
  const axes = rotationMatrix(rotations, 4 * row);
  for (let axis = 0; axis < 3; axis++) {
    const [ax, ay, az] = axes[axis];
    const [x, y, z] = [0, 1, 2].map((i) => view[i] * ax + view[4 + i] * ay + view[8 + i] * az);
    const scale = scales[3 * row + axis] * zoom;
    const u = scale * (x + slopeX * z);
    const v = scale * (y + slopeY * z);
    a += u * u;
    b += u * v;
    c += v * v;
  }
  return [a, b, c];
}

/** Directions of the three axes of a Gaussian. */
function rotationMatrix(/** @type {Float32Array} */ q, /** @type {number} */ at) {
  const [x, y, z, w] = q.subarray(at, at + 4);
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
    [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
    [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
  ];
}
