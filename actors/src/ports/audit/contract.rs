//! What every audit log does. [`audit_contract!`](crate::audit_contract) makes a test of each clause. A subject's log keeps lines for
//! [`KEPT_DAYS`].
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests only")]

use foryou_schemas::Timestamp;

use super::{AuditLine, AuditLog, Outcome};
pub use crate::ports::contract::Subject;

/// How long a subject's log keeps lines.
pub const KEPT_DAYS: u32 = 30;
const DAY_MS: i64 = 86_400_000;

/// Makes one test of each clause, with a fresh [`Subject`] from the given (synchronous) function.
#[macro_export]
macro_rules! audit_contract {
    ($fresh:path) => {
        $crate::audit_contract!(
            @each $fresh,
            lines_are_read_as_they_were_written_newest_first,
            pages_follow_each_other_without_gap,
            old_lines_are_forgotten,
            reopening_keeps_every_line,
        );
    };
    (@each $fresh:path, $($clause:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            $crate::ports::audit::contract::$clause(&$fresh()).await;
        }
    )*};
}

/// The `n`th line of those written `days` days ago.
fn line(days: i64, n: u32) -> AuditLine {
    // Whole days, so that a day's lines stay together whenever the test runs.
    let now = Timestamp::now().millis();
    let at = now - now % DAY_MS - days * DAY_MS + i64::from(n);
    AuditLine {
        id: format!("{at:012x}7000800000000000{n:04x}").into(),
        at: Timestamp::from_millis(at).unwrap(),
        who: "admin anna".into(),
        from: "10.0.0.7".into(),
        action: "release activate".into(),
        on: "2026-11-24T0900-3f2a / ünï ☕".into(),
        outcome: [Outcome::Done, Outcome::Refused, Outcome::Failed][n as usize % 3],
        detail: "quoted \"text\"\nof two lines".into(),
    }
}

/// A line is read as it was written.
pub async fn lines_are_read_as_they_were_written_newest_first<S: Subject<Port: AuditLog>>(subject: &S) {
    let log = subject.open().await;
    assert_eq!(log.latest(None, 10).await.unwrap(), []);
    let plain = AuditLine { from: "".into(), on: "".into(), detail: "".into(), ..line(0, 4) };
    for line in [&line(2, 0), &line(0, 1), &line(0, 2), &plain] {
        log.append(line).await.unwrap();
    }
    assert_eq!(log.latest(None, 10).await.unwrap(), [plain.clone(), line(0, 2), line(0, 1), line(2, 0)]);
    assert_eq!(log.latest(None, 1).await.unwrap(), [plain]);
}

/// Reading on from the last line of a page gives the next lines, over days without any.
pub async fn pages_follow_each_other_without_gap<S: Subject<Port: AuditLog>>(subject: &S) {
    let log = subject.open().await;
    let mut lines: Vec<_> = [9, 3, 3, 0, 0, 0].into_iter().zip(0..).map(|(days, n)| line(days, n)).collect();
    for line in &lines {
        log.append(line).await.unwrap();
    }
    lines.reverse();
    for size in 1..=lines.len() {
        let (mut read, mut before): (Vec<AuditLine>, Option<Box<str>>) = (Vec::new(), None);
        loop {
            let page = log.latest(before.as_deref(), size).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.id.clone());
            read.extend(page);
        }
        assert_eq!(read, lines, "in pages of {size}");
    }
}

/// What is older than the log keeps is not listed.
pub async fn old_lines_are_forgotten<S: Subject<Port: AuditLog>>(subject: &S) {
    let log = subject.open().await;
    let kept = line(i64::from(KEPT_DAYS) - 1, 1);
    for line in [&line(i64::from(KEPT_DAYS) + 2, 0), &kept] {
        log.append(line).await.unwrap();
    }
    assert_eq!(log.latest(None, 10).await.unwrap(), [kept]);
}

/// What was written is kept.
pub async fn reopening_keeps_every_line<S: Subject<Port: AuditLog>>(subject: &S) {
    let log = subject.open().await;
    log.append(&line(0, 1)).await.unwrap();
    drop(log);
    let log = subject.open().await;
    log.append(&line(0, 2)).await.unwrap();
    assert_eq!(log.latest(None, 10).await.unwrap(), [line(0, 2), line(0, 1)]);
}
