//! The operations of a training step, each forward and backward, on slices of
//! f32. Work is cut into pieces of fixed size, so that the order of every sum,
//! and with it every bit of the result, does not depend on scheduling.

pub(super) mod attention;
pub(super) mod cross_entropy;
pub(super) mod dropout;
pub(super) mod gelu;
pub(super) mod layer_norm;
pub(super) mod linear;
pub(super) mod matmul;
