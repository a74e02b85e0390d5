//! Nothing. glommio 0.9 names `lockfree` 0.5 among its dependencies and uses nothing of it. That crate is unsound and no
//! longer kept up, so it is not built at all: `[patch.crates-io]` in the workspace's `Cargo.toml` puts this in its place.
//! If a later glommio does use it, the build fails here rather than quietly taking it in; if it no longer names it, cargo
//! says that the patch was not used, and this folder can go.
