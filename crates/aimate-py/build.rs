//! On macOS, what a module leaves to the Python that loads it has to be named as such.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[expect(clippy::disallowed_methods, reason = "Cargo tells a build script its target so")]
    let target = std::env::var("CARGO_CFG_TARGET_OS");
    if target.as_deref() == Ok("macos") {
        println!("cargo::rustc-cdylib-link-arg=-undefined");
        println!("cargo::rustc-cdylib-link-arg=dynamic_lookup");
    }
}
