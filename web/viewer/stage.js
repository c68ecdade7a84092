/** What is on the screen: three.js with the Spark renderer. */

import * as THREE from 'three';
import { OrbitControls } from 'three/addons/controls/OrbitControls.js';
import { PackedSplats, SparkRenderer, SplatMesh, utils } from '@sparkjsdev/spark';
import { extentOf } from './splats.js';

const FIELD_OF_VIEW = 50;
const HIGHLIGHT = [1, 0.55, 0.1];
const HIGHLIGHTED = 0.75;
const DIMMED = 0.35;
/** Turns the scene so that its upward direction becomes that of three.js, +y. */
const TURNS = {
  y: new THREE.Quaternion(),
  '-y': new THREE.Quaternion(1, 0, 0, 0),
  z: new THREE.Quaternion().setFromAxisAngle(new THREE.Vector3(1, 0, 0), -Math.PI / 2),
};

export class Stage {
  #scene = new THREE.Scene();
  #camera = new THREE.PerspectiveCamera(FIELD_OF_VIEW, 1, 0.01, 1000);
  #renderer;
  #controls;
  #root = new THREE.Group();
  /** @type {SplatMesh | null} */
  #mesh = null;
  #dirty = true;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#renderer = new THREE.WebGLRenderer({ canvas, antialias: false });
    this.#renderer.setClearColor(0x16181d);
    this.#controls = new OrbitControls(this.#camera, canvas);
    this.#controls.addEventListener('change', () => this.invalidate());
    const spark = new SparkRenderer({ renderer: this.#renderer, onDirty: () => this.invalidate() });
    this.#scene.add(spark, this.#root);
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#renderer.setAnimationLoop(() => this.#draw());
  }

  invalidate() {
    this.#dirty = true;
  }

  #draw() {
    this.#controls.update();
    if (!this.#dirty) return;
    this.#dirty = false;
    this.#renderer.render(this.#scene, this.#camera);
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.#camera.aspect = clientWidth / clientHeight;
    this.#camera.updateProjectionMatrix();
    this.invalidate();
  }

  /**
   * Replace what is shown.
   *
   * @param {import('./splats.js').Splats} splats
   */
  async show(splats) {
    const packed = pack(splats);
    const mesh = new SplatMesh({ packedSplats: packed });
    await mesh.initialized;
    this.#root.add(mesh);
    if (this.#mesh) {
      this.#root.remove(this.#mesh);
      this.#mesh.dispose();
    }
    this.#mesh = mesh;
    this.invalidate();
  }

  /** Look at the whole scene. */
  frame(/** @type {import('./splats.js').Splats} */ splats) {
    const { middle, radius } = extentOf(splats);
    const target = new THREE.Vector3(...middle).applyQuaternion(this.#root.quaternion);
    this.#controls.target.copy(target);
    this.#camera.position.copy(target).add(new THREE.Vector3(0.5, 0.9, 2).multiplyScalar(1.1 * radius));
    this.#camera.near = radius / 100;
    this.#camera.far = radius * 100;
    this.#camera.updateProjectionMatrix();
    this.#controls.update();
    this.invalidate();
  }

  /** @param {keyof typeof TURNS} up which direction of the scene is up */
  turn(up) {
    this.#root.quaternion.copy(TURNS[up]);
    this.invalidate();
  }

  /**
   * Highlight the Gaussians that are marked; `null` for none.
   *
   * @param {import('./splats.js').Splats} splats that are shown
   * @param {Uint8Array | null} marks
   */
  highlight({ count, colours }, marks) {
    const packed = this.#mesh?.packedSplats;
    if (!packed?.packedArray) return;
    for (let row = 0; row < count; row++) {
      const [r, g, b] = [0, 1, 2].map((c) => {
        const colour = colours[3 * row + c];
        if (!marks) return colour;
        return marks[row] ? colour + (HIGHLIGHT[c] - colour) * HIGHLIGHTED : colour * DIMMED;
      });
      utils.setPackedSplatRgb(packed.packedArray, row, r, g, b);
    }
    packed.needsUpdate = true;
    this.#mesh?.updateVersion();
    this.invalidate();
  }

  /** The camera relative to the scene, for picking. @returns {import('./pick.js').Camera} */
  get camera() {
    const { clientWidth: width, clientHeight: height } = this.#renderer.domElement;
    this.#camera.updateMatrixWorld();
    this.#root.updateMatrixWorld();
    const view = this.#camera.matrixWorldInverse.clone().multiply(this.#root.matrixWorld);
    const focal = height / 2 / Math.tan((FIELD_OF_VIEW * Math.PI) / 360);
    return { view: view.toArray(), focal, width, height };
  }
}

/** The form that the renderer takes to the graphics card. */
function pack(/** @type {import('./splats.js').Splats} */ splats) {
  const { count, centers, scales, rotations, opacities, colours, rest, degree } = splats;
  const { maxSplats } = utils.getTextureSize(Math.max(count, 1));
  const packedArray = new Uint32Array(4 * maxSplats);
  for (let row = 0; row < count; row++) {
    const [x, y, z] = centers.subarray(3 * row, 3 * row + 3);
    const [sx, sy, sz] = scales.subarray(3 * row, 3 * row + 3);
    const [qx, qy, qz, qw] = rotations.subarray(4 * row, 4 * row + 4);
    const [r, g, b] = colours.subarray(3 * row, 3 * row + 3);
    utils.setPackedSplat(packedArray, row, x, y, z, sx, sy, sz, qx, qy, qz, qw, opacities[row], r, g, b);
  }
  return new PackedSplats({ packedArray, numSplats: count, extra: packHarmonics(rest, degree, count, maxSplats) });
}

/** Spherical harmonics: coefficients of degrees 1, 2 and 3 apart, colours together. */
function packHarmonics(
  /** @type {ArrayLike<number>[]} */ rest,
  /** @type {number} */ degree,
  /** @type {number} */ count,
  /** @type {number} */ maxSplats,
) {
  const perChannel = rest.length / 3;
  const parts = [
    { name: 'sh1', first: 0, length: 3, words: 2, encode: utils.encodeSh1Rgb },
    { name: 'sh2', first: 3, length: 5, words: 4, encode: utils.encodeSh2Rgb },
    { name: 'sh3', first: 8, length: 7, words: 4, encode: utils.encodeSh3Rgb },
  ].slice(0, degree);
  /** @type {Record<string, Uint32Array>} */
  const extra = {};
  for (const { name, first, length, words, encode } of parts) {
    extra[name] = new Uint32Array(words * maxSplats);
    const coefficients = new Float32Array(3 * length);
    for (let row = 0; row < count; row++) {
      for (let k = 0; k < length; k++) {
        for (let c = 0; c < 3; c++) coefficients[3 * k + c] = rest[c * perChannel + first + k][row];
      }
      encode(extra[name], row, coefficients);
    }
  }
  return extra;
}
