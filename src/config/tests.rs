use super::*;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::read(text, "test.toml", variables).map_err(|e| e.to_string())
}

#[test]
fn the_documented_file_is_the_compiled_in_defaults() {
    let text = include_str!("../../foryou.toml");
    let documented: toml::Table = text.parse().unwrap();
    assert_eq!(documented, Config::default().to_table().unwrap());
    assert_eq!(read(text, &[]).unwrap(), Config::default());
}

#[test]
fn what_is_in_force_reads_back() {
    let config = read("[feed.utility]\nlike = 4", &[("FORYOU__SERVER__BIND", "0.0.0.0:9000")]).unwrap();
    assert_eq!(config.feed.utility.like.get(), 4.0);
    assert_eq!(config.server.bind.port(), 9000);
    assert_eq!(read(&config.to_toml().unwrap(), &[]).unwrap(), config);
}

#[test]
fn the_environment_overrides_the_file() {
    let config = read(
        "[sessions]\nidle_s = 5\nbudget_mb = 7",
        &[("FORYOU__SESSIONS__IDLE_S", "60"), ("FORYOU__FEED__UTILITY__LIKE", "3"), ("FORYOU_HOME", "not ours")],
    )
    .unwrap();
    assert_eq!((config.sessions.idle_s.get(), config.sessions.budget_mb.get()), (60, 7));
    assert_eq!(config.feed.utility.like.get(), 3.0);
}

#[test]
fn an_error_names_the_key_and_what_would_be_right() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);
    let cases: [Case; 11] = [
        ("[server]\nbnd = 1", &[], &["server.bnd", "test.toml", "bind"]),
        ("[sever]\nbind = 1", &[], &["sever", "server"]),
        ("", &[("FORYOU__SERVER__BND", "x")], &["server.bnd", "FORYOU__SERVER__BND"]),
        ("", &[("FORYOU__SEVER__BIND", "x")], &["sever.bind", "FORYOU__SEVER__BIND"]),
        ("", &[("FORYOU__SERVER", "x")], &["server", "section"]),
        ("", &[("FORYOU__SERVER__BIND__X", "x")], &["server.bind.x"]),
        ("[server]\nworkers = \"two\"", &[], &["server.workers", "whole number", "two"]),
        ("", &[("FORYOU__SERVER__WORKERS", "two")], &["server.workers", "whole number", "two"]),
        ("[feed.exploration]\nshare = 1.5", &[], &["feed.exploration.share", "1.5", "0 to 1"]),
        ("[bus]\nkind = \"kafka\"", &[], &["bus.kind", "kafka", "embedded"]),
        ("[server]\nbind = ", &[], &["test.toml", "line 2"]),
    ];
    for (text, variables, words) in cases {
        let message = read(text, variables).unwrap_err();
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
    }
    let message = read("[feed.utility]\nlike = nan", &[]).unwrap_err();
    assert!(message.contains("feed.utility.like"), "{message}");
    let message = read("[server]\nbind = \"here\"", &[]).unwrap_err();
    assert!(message.contains("server.bind"), "{message}");
}
