//! The login of the console.

use serde_json::json;

use crate::{
    callers::{Guarded, PASSWORD},
    server::{Answer, Server},
};

fn try_in(guarded: &Guarded, form: &str) -> Answer {
    guarded.ask("POST", "/admin/login", &[("origin", &guarded.server.base)], Some(&json!(form)))
}

#[test]
fn a_login_gives_a_session_that_ends_with_the_logout() {
    let guarded = Guarded::start("");
    let page = guarded.ask("GET", "/admin/login?next=/admin/queues%3Fx=%22%3E%3Cscript", &[], None);
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text.contains("name=\"password\"") && !page.text.contains("<script"), "{}", page.text);
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'self'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !page.text.contains("<style") && !page.text.contains(" style="));
    for (header, value) in
        [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("cache-control", "no-store")]
    {
        assert_eq!(page.header(header), value);
    }

    let form = format!("name=anna&password={}&next=%2Fadmin%2Fqueues", PASSWORD.replace(' ', "+"));
    let answer = try_in(&guarded, &form);
    assert_eq!((answer.status, answer.header("location")), (303, "/admin/queues"), "{}", answer.text);
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
    let [session, csrf] = cookies[..] else { panic!("{cookies:?}") };
    assert!(session.starts_with("foryou-admin=anna.") && session.contains("; HttpOnly; SameSite=Strict"), "{session}");
    assert!(csrf.contains("; SameSite=Strict") && !csrf.contains("HttpOnly"), "{csrf}");
    let cookie = session.split(';').next().unwrap();
    let token = csrf.split(';').next().unwrap().split_once('=').unwrap().1;
    assert_eq!(guarded.ask("GET", "/metrics", &[("cookie", cookie)], None).status, 200);
    let metrics = guarded.ask("GET", "/metrics", &[("cookie", &format!("a=b; {cookie}; c=d"))], None);
    assert_eq!(metrics.status, 200);

    let sent = [("cookie", cookie), ("origin", &*guarded.server.base), ("x-csrf-token", token)];
    let out = guarded.ask("POST", "/admin/logout", &sent, None);
    assert_eq!((out.status, out.header("location")), (303, "/admin/login"));
    assert!(out.headers.get_all("set-cookie").iter().all(|cookie| cookie.to_str().unwrap().contains("Max-Age=0")));
    guarded.ask("GET", "/metrics", &[("cookie", cookie)], None).problem(401, "");

    let audit = audit(&guarded.server);
    assert!(audit.contains("admin anna") && audit.contains("logout"), "{audit}");
}

fn audit(server: &Server) -> String {
    let files = std::fs::read_dir(server.dir().join("access")).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|is| is == "jsonl"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect()
}

#[test]
fn wrong_attempts_are_refused_noted_and_slowed_down() {
    let guarded = Guarded::start("");
    let form = format!("name=anna&password={}", PASSWORD.replace(' ', "+"));
    for origin in ["https://evil.example", "null"] {
        guarded.ask("POST", "/admin/login", &[("origin", origin)], Some(&json!(form))).problem(403, "");
    }
    guarded.ask("POST", "/admin/login", &[], Some(&json!(form))).problem(403, "");
    let wrong = ["name=anna&password=guess1", "name=hunter2&password=x", "%%%"];
    for form in &wrong {
        let answer = try_in(&guarded, form);
        assert_eq!((answer.status, answer.header("content-type")), (401, "text/html; charset=utf-8"), "{form}");
        assert!(answer.text.contains("wrong") && answer.headers.get("set-cookie").is_none(), "{}", answer.text);
    }
    // Whoever goes on trying waits, whatever they try.
    let (mut refused, mut answer) = (wrong.len(), try_in(&guarded, wrong[0]));
    while answer.status == 401 {
        refused += 1;
        assert!(refused < 1_000, "nobody is slowed down");
        answer = try_in(&guarded, wrong[0]);
    }
    assert_eq!(answer.status, 429, "{}", answer.text);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    let audit = audit(&guarded.server);
    assert_eq!(audit.matches("refused").count(), refused, "{audit}");
    assert!(!audit.contains("guess1") && !audit.contains("hunter2"), "{audit}");
    let large = "x".repeat(5_000);
    guarded.ask("POST", "/admin/login", &[("origin", &guarded.server.base)], Some(&json!(large))).problem(413, "");
}

#[test]
fn where_nobody_can_log_in_the_page_says_how() {
    let server = Server::start_with("access.mode = \"on\"\n");
    let page = server.get("/admin/login");
    assert_eq!(page.status, 200);
    assert!(page.text.contains("foryou keys password") && !page.text.contains("<form"), "{}", page.text);
}
