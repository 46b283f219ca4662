//! How the program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A program that may be loaded anywhere has 50,000 addresses to correct each time it
    // starts, nearly all for panics that never happen: a third of the time of a short
    // command. So it is loaded where it was linked to. Heap, stack and system libraries still
    // lie elsewhere each time.
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
