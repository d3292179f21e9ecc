//! Short stories in a child's vocabulary: a cast, a plot with a problem and an ending, speech, a moral.
//!
//! A story draws its cast here and its text from the rules in neighbouring files: people, things, words, scenes, plots.
//! A plot binds whatever it names (a toy, a place, a fear), so that it stays the same to the end.

mod people;
mod plots_one;
mod plots_two;
mod scenes;
mod things;
mod wares;
mod words;

use super::finish::finish;
use super::grammar::{Character, Draws, Grammar, Writer};
use std::sync::LazyLock;

static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    Grammar::compile(&[
        people::RULES,
        things::RULES,
        wares::RULES,
        words::RULES,
        scenes::RULES,
        plots_one::RULES,
        plots_two::RULES,
    ])
});

/// Plots; a name listed twice is drawn twice as often.
const PLOTS: [&str; 22] = [
    "plot_lost",
    "plot_lost",
    "plot_share",
    "plot_share",
    "plot_fear",
    "plot_fear",
    "plot_race",
    "plot_race",
    "plot_build",
    "plot_hurt",
    "plot_truth",
    "plot_way",
    "plot_grow",
    "plot_bake",
    "plot_storm",
    "plot_promise",
    "plot_secret",
    "plot_new",
    "plot_wish",
    "plot_learn",
    "plot_swap",
    "plot_mess",
];

/// The story of these draws.
pub(super) fn story(draws: Draws) -> String {
    let mut writer = Writer::new(&GRAMMAR, draws);
    writer.cast = cast(&mut writer);
    let plot = *writer.draws.pick(&PLOTS);
    writer.rule(plot);
    finish(&writer.out)
}

/// Hero, friend, elder and someone else, with four different names.
fn cast(writer: &mut Writer<'_>) -> [Character; 4] {
    let mut cast: [Character; 4] = Default::default();
    let animals = writer.draws.chance(35);
    for role in [0, 1, 3] {
        let animal = animals || role == 1 && writer.draws.chance(20);
        loop {
            let one = child(writer, animal);
            let taken = cast.iter().any(|other| {
                other.name == one.name || animal && other.kind == one.kind && role != 3
            });
            if !taken {
                cast[role] = one;
                break;
            }
        }
    }
    loop {
        let female = writer.draws.chance(55);
        let name = writer.text(if female { "fem_elder" } else { "masc_elder" });
        let others = cast.iter().filter(|one| !one.name.is_empty());
        if !others.into_iter().any(|one| name.contains(&one.name)) {
            let kind = if female { "mother" } else { "father" };
            cast[2] = Character {
                name,
                female,
                kind: kind.to_owned(),
            };
            return cast;
        }
    }
}

fn child(writer: &mut Writer<'_>, animal: bool) -> Character {
    let female = writer.draws.chance(50);
    let (name, kind) = match (animal, female) {
        (true, _) if writer.draws.chance(60) => ("pet_name", "animal_hero"),
        (true, true) => ("girl_name", "animal_hero"),
        (true, false) => ("boy_name", "animal_hero"),
        (false, true) => ("girl_name", ""),
        (false, false) => ("boy_name", ""),
    };
    let name = writer.text(name);
    let kind = match (kind, female) {
        ("", true) => "girl".to_owned(),
        ("", false) => "boy".to_owned(),
        (rule, _) => writer.text(rule),
    };
    Character { name, female, kind }
}
