/** What a decoder agrees to hold (spec 11); the defaults are those of the specification. */
export const DEFAULT_LIMITS = Object.freeze({
  gaussians: 2 ** 28,
  /** Gaussians times channels of all groups, and times properties. */
  values: 2 ** 31,
  dataChunks: 2 ** 22,
  payloadBytes: 2 ** 30,
  elementBytes: 2 ** 32,
  attachments: 1024,
  attachedBytes: 2 ** 30,
});

/** @typedef {typeof DEFAULT_LIMITS} Limits */
