use clap::{CommandFactory, error::ErrorKind};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("foryou").chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_configuration_may_be_named_anywhere() {
    for line in
        ["--config a.toml migrate", "config check --config a.toml", "import kuairand data --json --config a.toml"]
    {
        assert_eq!(parse(line).unwrap().config, Some("a.toml".into()), "{line}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for line in [
        "fly",
        "import",
        "import kuairand",
        "import jsonl",
        "migrate --fast",
        "nodes here",
        "config",
        "train now",
        "train --until yesterday",
        "train --until 2022-04-28",
        "train --rows missing/rows.parquet",
        "evaluate --until 28.4.2022",
        "evaluate --catboost rows.parquet",
        "replay",
        "replay log.parquet",
        "replay --predictions out.parquet",
        "replay log.parquet --predictions out.parquet --delay 5",
        "replay log.parquet --predictions missing/out.parquet",
        "replay log.parquet --live --predictions out.parquet",
        "replay log.parquet --live --delay 5m",
        "replay log.parquet --live --speed 0",
        "replay log.parquet --predictions out.parquet --speed 2",
        "replay log.parquet --live --last week",
        "recommend",
        "recommend --users people.txt --limit 0",
        "recommend --users people.txt --source guesses",
        "release",
        "release activate",
        "release rollback here",
        "bench",
        "keys",
        "keys create",
        "quarantine",
        "quarantine show",
        "quarantine replay",
        "quarantine discard 7 --reason x",
        "quarantine list --limit 0",
        "keys create --scope everything",
        "keys create --scope feed --expires tomorrow",
        "keys revoke",
        "bench feed --rate 0",
        "bench sessions --rate 5",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    assert_eq!(parse("--version").unwrap_err().kind(), ErrorKind::DisplayVersion);
}

#[test]
fn good_usage_is_taken() {
    for line in [
        "train",
        "train --until 2022-04-28T16:00:00Z --json",
        "train --quick --rows rows.parquet",
        "evaluate --json",
        "evaluate --until 2022-04-28T16:00:00Z --rows judged.parquet --catboost rows.parquet",
        "replay a.parquet b.jsonl --delay 5m --predictions out.parquet --json",
        "replay a.parquet --live",
        "replay a.parquet --live --speed 120 --last day --url http://127.0.0.1:80 --key fy_x --loop --json",
        "recommend --users -",
        "recommend --users people.txt --limit 100 --source two_tower --json",
        "nodes --json",
        "quarantine list --reason catalogue --limit 5 --before 9 --json",
        "quarantine show 7",
        "quarantine replay 7 8",
        "quarantine discard --reason surface",
        "keys create --scope events,catalogue --scope feed --name app --expires 90d --json",
        "keys list",
        "keys revoke k7",
        "keys password --user anna",
        "release list --json",
        "release show",
        "release check 2026-11-24T0900-3f2a",
        "bench feed --rate 1000 --duration 10 --videos 100000 --limit 20 --json",
        "bench sessions --count 200000 --json",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}
