//! Stories: objects in, what a node does about them out, as text.
//!
//! A story is a directory in `tests/scenarios/` with step files `1-NAME.yaml`, `2-NAME.yaml` and
//! so on, and `expected.txt`. Its `README.md` says what a step may hold. `UPDATE_EXPECT=1` writes
//! `expected.txt` anew; then the difference is read by someone who knows what should happen.

mod objects;
mod show;
mod step;
mod world;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use step::Step;
use world::World;

macro_rules! stories {
    ($($test:ident $directory:literal)*) => {
        $(#[test] fn $test() { check($directory); })*
        const STORIES: &[&str] = &[$($directory),*];
    };
}

stories! {
    conflict "conflict"
    delete_before_success "delete-before-success"
    deleted_while_down "deleted-while-down"
    drain "drain"
    dual_stack "dual-stack"
    dual_stack_switched_live "dual-stack-switched-live"
    local_policy_all_terminating "local-policy-all-terminating"
    one_object_fails "one-object-fails"
    parked "parked"
    policy_flips "policy-flips"
    port_renamed "port-renamed"
    restart_adopts "restart-adopts"
    rolling_update "rolling-update"
    scale_to_zero "scale-to-zero"
    slices_split_and_merge "slices-split-and-merge"
    zone_outage "zone-outage"
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Plays a story and compares what happens with what should.
#[track_caller]
fn check(story: &str) {
    let directory = root().join(story);
    let played = play(&directory);
    let file = directory.join("expected.txt");
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, &played).expect("the expectation can be written");
        return;
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if played == expected {
        return;
    }
    let line = played.lines().zip(expected.lines()).take_while(|(one, two)| one == two).count();
    panic!(
        "{story} goes otherwise from line {} on (UPDATE_EXPECT=1 rewrites {}):\n{played}",
        line + 1,
        file.display()
    );
}

fn play(directory: &Path) -> String {
    let mut world = World::default();
    for (name, path) in step_files(directory) {
        let text = fs::read_to_string(&path).expect("a step can be read");
        let step = Step::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        world.play(&name, step);
    }
    world.end()
}

/// The steps in the order of their numbers.
fn step_files(directory: &Path) -> Vec<(String, PathBuf)> {
    let number = |name: &str| -> u32 {
        let (number, _) = name.split_once('-').expect("a step is called NUMBER-NAME.yaml");
        number.parse().expect("a step begins with its number")
    };
    let mut files: Vec<_> = entries(directory)
        .into_iter()
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".yaml")?.to_owned();
            Some((number(&name), name, path))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no steps", directory.display());
    files.into_iter().map(|(_, name, path)| (name, path)).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.expect("a directory can be read").path()).collect()
}

#[test]
fn every_story_is_played() {
    let told: BTreeSet<_> = entries(&root())
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .collect();
    let played: BTreeSet<_> = STORIES.iter().map(|story| (*story).to_owned()).collect();
    assert_eq!(told, played);
}
