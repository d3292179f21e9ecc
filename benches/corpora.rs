fn main() {
    let p = specbook::spec::Embedded {
        version: 1,
        seed: 0,
    };
    let a: Vec<String> = std::env::args().collect();
    let g = if a[1] == "s" {
        specbook::data::corpora::Generator::Stories
    } else {
        specbook::data::corpora::Generator::Documents
    };
    for i in a[2].parse().unwrap()..a[3].parse().unwrap() {
        println!(
            "{}\n<|endoftext|>",
            specbook::data::corpora::document(g, &p, i)
        );
    }
}
