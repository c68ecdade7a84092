/** Group kinds (spec 4.2). */
export const Kind = Object.freeze({
  POSITION: 0,
  OPACITY: 1,
  SCALE: 2,
  POSITION_FINE: 3,
  ROTATION: 4,
  DC: 5,
  SH: 6,
  FEATURE: 7,
  SEMANTIC: 8,
  ID: 9,
  SENTINEL: 10,
  SENSITIVITY: 11,
});

export const KIND_NAMES = Object.keys(Kind);

/** Labels: palette indices. */
export const isLabel = (/** @type {number} */ kind) => kind === Kind.ID || kind === Kind.SENTINEL;

/** Residuals that a linear transform turns into columns. */
export const isTransformed = (/** @type {number} */ kind) => kind >= Kind.DC && kind <= Kind.SEMANTIC;

/** Coded as residuals of a prediction. */
export const isResidual = (/** @type {number} */ kind) =>
  kind !== Kind.POSITION && kind !== Kind.POSITION_FINE && !isLabel(kind);

/** Kinds of which a file has at most one group. */
export const SINGLE = [Kind.POSITION, Kind.OPACITY, Kind.SCALE, Kind.POSITION_FINE, Kind.ROTATION];

/** Channels and columns that a kind prescribes; `undefined` where it leaves them open. */
export const SHAPES = {
  [Kind.POSITION]: [3, 3],
  [Kind.OPACITY]: [1, 1],
  [Kind.POSITION_FINE]: [3, 0],
  [Kind.ROTATION]: [3, 4],
  [Kind.ID]: [1, 1],
  [Kind.SENTINEL]: [1, 0],
  [Kind.SENSITIVITY]: [2, 0],
};
