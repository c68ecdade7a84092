import { Forward } from './forward.js';
export const createForward = (network, simd) => new Forward(network, 256);
