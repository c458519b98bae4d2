//! What the driver says, as a person on call understands it.

use foryou_actors::ports::store::StoreError;
use scylla::errors::{
    BrokenConnectionError, BrokenConnectionErrorKind, ConnectionError, ConnectionPoolError,
    ConnectionSetupRequestErrorKind, DbError, ExecutionError, FrameHeaderParseError, MetadataError, NewSessionError,
    NextPageError, NextRowError, PagerExecutionError, PrepareError, RequestAttemptError, RequestError,
};

/// An error of the driver, as text: the driver's own types are large.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No answer, or a refusal.
    #[error("{0}")]
    Failed(Box<str>),
    /// An answer of another shape than the tables have.
    #[error("an answer does not decode: {0}")]
    Answer(Box<str>),
}

impl DriverError {
    /// An answer of the wrong shape.
    pub fn answer(error: impl std::error::Error) -> Self {
        Self::Answer(error.to_string().into())
    }
}

impl From<ExecutionError> for DriverError {
    fn from(error: ExecutionError) -> Self {
        Self::Failed(execution(&error).into())
    }
}

impl From<PagerExecutionError> for DriverError {
    fn from(error: PagerExecutionError) -> Self {
        Self::Failed(paging(&error).into())
    }
}

impl From<NextRowError> for DriverError {
    fn from(error: NextRowError) -> Self {
        match error {
            NextRowError::NextPageError(error) => Self::Failed(next_page(&error).into()),
            error => Self::answer(error),
        }
    }
}

impl From<PrepareError> for DriverError {
    fn from(error: PrepareError) -> Self {
        Self::Failed(preparing(&error).into())
    }
}

impl From<NewSessionError> for DriverError {
    fn from(error: NewSessionError) -> Self {
        Self::Failed(connecting(&error).into())
    }
}

impl From<DriverError> for StoreError {
    fn from(error: DriverError) -> Self {
        match error {
            DriverError::Answer(_) => {
                Self::Corrupt(format!("{error}; are the tables those of `foryou migrate` of this version?"))
            }
            _ => Self::Away(error.to_string()),
        }
    }
}

fn connecting(error: &NewSessionError) -> String {
    match error {
        NewSessionError::FailedToResolveAnyHostname(names) => {
            format!("no address is known for {}; see store.scylla.nodes", names.join(", "))
        }
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(error)) => pool(error),
        NewSessionError::MetadataError(MetadataError::FetchError(error)) => match &error.error {
            scylla::errors::MetadataFetchErrorKind::PrepareError(error) => attempt(error),
            _ => error.to_string(),
        },
        other => other.to_string(),
    }
}

fn execution(error: &ExecutionError) -> String {
    match error {
        ExecutionError::ConnectionPoolError(error) => pool(error),
        ExecutionError::LastAttemptError(error) => attempt(error),
        ExecutionError::PrepareError(error) => preparing(error),
        ExecutionError::RequestTimeout(limit) => format!("no answer within {} ms", limit.as_millis()),
        other => other.to_string(),
    }
}

fn paging(error: &PagerExecutionError) -> String {
    match error {
        PagerExecutionError::PrepareError(error) => preparing(error),
        PagerExecutionError::NextPageError(error) => next_page(error),
        other => other.to_string(),
    }
}

fn next_page(error: &NextPageError) -> String {
    match error {
        NextPageError::RequestFailure(RequestError::ConnectionPoolError(error)) => pool(error),
        NextPageError::RequestFailure(RequestError::LastAttemptError(error)) => attempt(error),
        NextPageError::RequestFailure(RequestError::RequestTimeout(limit)) => {
            format!("no answer within {} ms", limit.as_millis())
        }
        other => other.to_string(),
    }
}

fn preparing(error: &PrepareError) -> String {
    match error {
        PrepareError::ConnectionPoolError(error) => pool(error),
        PrepareError::AllAttemptsFailed { first_attempt } => attempt(first_attempt),
        other => other.to_string(),
    }
}

fn pool(error: &ConnectionPoolError) -> String {
    match error {
        ConnectionPoolError::Broken { last_connection_error } => connection(last_connection_error),
        ConnectionPoolError::Initializing => "not connected yet".into(),
        other => other.to_string(),
    }
}

fn connection(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectTimeout => {
            "no node takes a connection in time: is it frozen, or is a firewall in between?".into()
        }
        ConnectionError::IoError(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused: is the store running there? See store.scylla.nodes".into()
        }
        ConnectionError::IoError(error) => {
            let told = error.to_string();
            let advice = match () {
                () if told.contains("corrupt message") => {
                    "; what answers there does not speak TLS: see store.scylla.tls"
                }
                () if told.contains("certificate") => "; see store.scylla.ca",
                () => "; see store.scylla.nodes",
            };
            format!("no connection: {told}{advice}")
        }
        ConnectionError::BrokenConnection(error) => broken(error),
        ConnectionError::ConnectionSetupRequestError(setup) => match &setup.error {
            ConnectionSetupRequestErrorKind::DbError(error, says) => database(error, says),
            ConnectionSetupRequestErrorKind::MissingAuthentication => {
                "it wants a user and a password; set store.scylla.user and store.scylla.password".into()
            }
            ConnectionSetupRequestErrorKind::BrokenConnection(error) => broken(error),
            error => format!("no connection: {error}"),
        },
        error => format!("no connection: {error}"),
    }
}

fn broken(error: &BrokenConnectionError) -> String {
    match error.downcast_ref() {
        Some(BrokenConnectionErrorKind::KeepaliveTimeout(_)) => "no answer to a keepalive: is the node frozen?".into(),
        Some(BrokenConnectionErrorKind::FrameHeaderParseError(
            FrameHeaderParseError::FrameFromClient
            | FrameHeaderParseError::VersionNotSupported(_)
            | FrameHeaderParseError::UnknownResponseOpcode(_),
        )) => "what answers there does not speak CQL; see store.scylla.nodes".into(),
        _ => format!("the connection broke: {error}"),
    }
}

fn attempt(error: &RequestAttemptError) -> String {
    match error {
        RequestAttemptError::DbError(error, says) => database(error, says),
        RequestAttemptError::BrokenConnectionError(error) => broken(error),
        other => other.to_string(),
    }
}

fn database(error: &DbError, says: &str) -> String {
    match error {
        DbError::AuthenticationError => {
            format!("it refuses the user or the password ({says}); see store.scylla.user and store.scylla.password")
        }
        DbError::Unauthorized => {
            format!("the user has not the rights ({says}); grant them, or let an administrator run `foryou migrate`")
        }
        DbError::Unavailable { required, alive, .. } => {
            format!("{alive} of the {required} replicas that are needed are up")
        }
        DbError::ReadTimeout { received, required, .. } => {
            format!("{received} of the {required} replicas that are needed answered a read in time")
        }
        DbError::WriteTimeout { received, required, .. } => {
            format!("{received} of the {required} replicas that are needed answered a write in time")
        }
        DbError::Overloaded | DbError::RateLimitReached { .. } => format!("it is overloaded: {says}"),
        DbError::IsBootstrapping => "the node is starting".into(),
        _ => format!("it answers: {says}"),
    }
}
