//! Speed and memory of whole training steps, measured as by `specbook bench`, without building the program:
//!
//! `cargo bench --bench training -- [SHAPE [THREADS [SECONDS [cpu-reference]]]]`
#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use specbook::internals::bench::{Case, Extent, measure, shapes};
use specbook::internals::scheduler::peak_rss_bytes;
use specbook::{DeviceKind, open_engine};
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let argument =
        |i: usize, default: &'static str| arguments.get(i).map_or(default, |a| a.as_str());
    let name = argument(0, "llama-s").to_owned();
    let threads: usize = argument(1, "2").parse().expect("THREADS is a number");
    let seconds: f64 = argument(2, "5").parse().expect("SECONDS is a number");
    let device: DeviceKind = argument(3, "cpu").parse().expect("a device");
    let all = shapes();
    let Some(shape) = all.iter().find(|shape| shape.name == name) else {
        let names: Vec<&str> = all.iter().map(|shape| shape.name.as_str()).collect();
        panic!("shapes are {}", names.join(", "));
    };
    let engine = open_engine(device).expect("the device opens");
    let extent = Extent::Time(Duration::from_secs_f64(seconds));
    let case = Case::of_shape(shape);
    let found = measure(engine.as_ref(), &case, extent, threads, &peak_rss_bytes);
    println!("{:#?}", found.expect("training runs"));
}
