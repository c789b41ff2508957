//! A client of the REST API.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde_json::Value;
use shared::Findings;
use ureq::{
    Agent,
    http::{HeaderMap, Method, Request, Response, header},
};

use crate::failure::Failure;

/// The heading of the client's flags in `--help`.
pub(crate) const HEADING: &str = "Client of the REST API";

/// Where the REST API is and who asks.
#[derive(Args, Debug)]
#[command(next_help_heading = HEADING)]
pub(crate) struct Options {
    /// Where the REST API is.
    #[arg(long, env = "TIDEGATE_API", default_value = "http://127.0.0.1:7080", value_name = "URL", global = true)]
    pub(crate) api: String,
    /// The file with the token; `TIDEGATE_TOKEN`, the token itself, goes first.
    #[arg(long, env = "TIDEGATE_TOKEN_FILE", default_value = "./tidegate-data/admin.token", value_name = "PATH")]
    #[arg(global = true)]
    token_file: PathBuf,
}

/// Speaks to one REST API with one token.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    token: String,
}

/// An answer with a status below 300.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `Tidegate-Revision`, else the number in the `ETag`.
    pub(crate) revision: Option<u64>,
    /// What is accepted and probably not meant, a sentence each.
    pub(crate) warnings: Vec<String>,
    /// The body; null when there is none.
    pub(crate) body: Value,
}

impl Client {
    /// How long one request may take, besides what it asks the server to wait.
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// Most bytes of an answer: a whole configuration as indented JSON fits.
    const MAX_BODY: u64 = 256 << 20;
    /// Items of one page of a list, the most that the API gives.
    const PAGE: usize = 1000;

    /// A client for what `options` and `TIDEGATE_TOKEN` say.
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let token = match std::env::var("TIDEGATE_TOKEN") {
            Ok(token) if !token.is_empty() => token,
            _ => read_token(&options.token_file)?,
        };
        Self::with_token(&options.api, &token)
    }

    /// A client for the API at `api` (scheme and host, with no path) with `token`.
    pub(crate) fn with_token(api: &str, token: &str) -> Result<Self, Failure> {
        if !api.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "--api {api}: only http:// is spoken; reach a remote API through an SSH tunnel"
            )));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // The token must not travel through whatever proxy the environment names.
            .proxy(None)
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(5)))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            base: api.trim_end_matches('/').to_owned(),
            token: token.trim().to_owned(),
        })
    }

    /// `GET` of a path below `/api/v1`.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, path, None, Duration::ZERO)
    }

    /// `HEAD` of a path below `/api/v1`: the revision without the body.
    pub(crate) fn head(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::HEAD, path, None, Duration::ZERO)
    }

    /// Sends `body` (content type and bytes) with `method` to a path below `/api/v1`.
    ///
    /// `wait` is how long the request itself asks the server to hold its answer.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
        wait: Duration,
    ) -> Result<Answer, Failure> {
        let url = self.url(path);
        let mut request = self.request(method, &url).header(header::ACCEPT, "application/json");
        if let Some((content_type, _)) = &body {
            request = request.header(header::CONTENT_TYPE, *content_type);
        }
        let built = |error| not_built(&url, &error);
        let timeout = Some(Self::TIMEOUT + wait);
        let response = match body {
            Some((_, bytes)) => self.run(request.body(bytes).map_err(built)?, timeout),
            None => self.run(request.body(()).map_err(built)?, timeout),
        };
        let unreachable = |error: ureq::Error| self.unreachable(&error);
        let mut response = response.map_err(unreachable)?;
        let bytes = response.body_mut().with_config().limit(Self::MAX_BODY).read_to_vec().map_err(unreachable)?;
        answer(response.status().as_u16(), response.headers(), &bytes)
    }

    /// Opens the event stream at a path below `/api/v1`, as far as its answer's head. It may be silent for as long as it likes.
    pub(crate) fn stream(&self, path: &str) -> Result<impl BufRead + use<>, Failure> {
        let url = self.url(path);
        let request = self.request(Method::GET, &url).header(header::ACCEPT, "text/event-stream");
        let request = request.body(()).map_err(|error| not_built(&url, &error))?;
        let request = self.agent.configure_request(request).timeout_recv_response(Some(Self::TIMEOUT)).build();
        let mut response = self.agent.run(request).map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        if status >= 300 {
            let bytes = response.body_mut().with_config().limit(Self::MAX_BODY).read_to_vec();
            let bytes = bytes.map_err(|error| self.unreachable(&error))?;
            return Err(refusal(status, &serde_json::from_slice(&bytes).unwrap_or_default()));
        }
        Ok(BufReader::new(response.into_body().into_reader()))
    }

    /// All items of a list, page after page.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        self.first(path, usize::MAX)
    }

    /// The first `most` items of a list.
    pub(crate) fn first(&self, path: &str, most: usize) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let limit = Self::PAGE.min(most - items.len());
            let page = self.get(&format!("{path}?limit={limit}{after}"))?.body;
            let next = page.get("next").and_then(Value::as_str).map(|next| format!("&after={}", escaped(next)));
            items.extend(items_of(page)?);
            match next {
                Some(next) if items.len() < most => after = next,
                _ => return Ok(items),
            }
        }
    }

    /// All data planes: a list of one page, which takes no query.
    pub(crate) fn data_planes(&self) -> Result<Vec<Value>, Failure> {
        items_of(self.get("data-planes")?.body)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.base)
    }

    fn request(&self, method: Method, url: &str) -> ureq::http::request::Builder {
        let token = format!("Bearer {}", self.token);
        Request::builder().method(method).uri(url).header(header::AUTHORIZATION, token)
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::Unreachable(format!(
            "the REST API at {} does not answer: {error}; is `tidegate up` running, and is --api right?",
            self.base
        ))
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        self.agent.run(self.agent.configure_request(request).timeout_global(timeout).build())
    }
}

fn not_built(url: &str, error: &ureq::http::Error) -> Failure {
    Failure::Usage(format!("{url} cannot be asked for: {error}"))
}

/// One segment of a path, or one value of a query, with everything escaped that is not unreserved.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn read_token(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        Failure::Failed(format!(
            "no token: {}: {error}; name its file with --token-file, or set TIDEGATE_TOKEN",
            path.display()
        ))
    })
}

/// Sorts an answer into a good one and a refusal.
fn answer(status: u16, headers: &HeaderMap, bytes: &[u8]) -> Result<Answer, Failure> {
    let body: Option<Value> = if bytes.is_empty() { Some(Value::Null) } else { serde_json::from_slice(bytes).ok() };
    match (status, body) {
        (200..300, Some(body)) => Ok(Answer { revision: revision(headers), warnings: warnings(headers), body }),
        (200..300, None) => Err(Failure::Failed("the REST API's answer is not JSON: is --api right?".to_owned())),
        (status, body) => Err(refusal(status, &body.unwrap_or_default())),
    }
}

fn items_of(mut page: Value) -> Result<Vec<Value>, Failure> {
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Failure::Failed("the REST API's answer is not a list: is --api right?".to_owned())),
    }
}

fn warnings(headers: &HeaderMap) -> Vec<String> {
    let fields = headers.get_all("tidegate-warning").iter();
    fields.map(|field| crate::output::printable(&String::from_utf8_lossy(field.as_bytes()))).collect()
}

fn revision(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    text("tidegate-revision").or_else(|| text("etag"))?.trim_matches('"').parse().ok()
}

/// What a problem document (RFC 9457) says, for people.
fn refusal(status: u16, problem: &Value) -> Failure {
    let text = |member: &str| problem.get(member).and_then(Value::as_str);
    let sentence = match text("detail").or_else(|| text("title")) {
        Some(detail) => crate::output::printable(detail),
        // An answer to HEAD has no body, and neither has one of something that is no Tidegate.
        None if status == 401 => "the REST API does not accept the token".to_owned(),
        None => "the REST API gave no reason".to_owned(),
    };
    let code = text("code").map(|code| format!(" {}", crate::output::printable(code))).unwrap_or_default();
    let findings = problem.get("findings").cloned().and_then(|list| serde_json::from_value::<Findings>(list).ok());
    // Why a committed change does not act everywhere, and who still uses what should be deleted.
    let more = ["reasons", "users"].iter().filter_map(|member| problem.get(member)?.as_array()).flatten();
    let details = more.map(|item| crate::output::cell(Some(item))).collect();
    Failure::Refused {
        sentence: format!("{sentence} ({status}{code})"),
        details,
        findings: findings.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_becomes_a_sentence_with_its_findings() {
        let problem = json!({
            "title": "Invalid", "detail": "The configuration is invalid.", "code": "invalid", "status": 422,
            "findings": [{"severity": "error", "pointer": "/routes/0", "message": "no such upstream"}],
        });
        let Failure::Refused { sentence, findings, .. } = refusal(422, &problem) else { panic!("a refusal") };
        assert_eq!(sentence, "The configuration is invalid. (422 invalid)");
        assert_eq!(findings.to_string(), "/routes/0: no such upstream");
        let Failure::Refused { sentence, .. } = refusal(502, &Value::Null) else { panic!("a refusal") };
        assert_eq!(sentence, "the REST API gave no reason (502)");
    }

    #[test]
    fn the_reasons_of_a_change_that_does_not_act_are_kept() {
        let problem = json!({ "detail": "committed", "code": "not_applied", "reasons": ["none is connected"] });
        let Failure::Refused { details, .. } = refusal(504, &problem) else { panic!("a refusal") };
        assert_eq!(details, ["none is connected"]);
    }

    #[test]
    fn the_revision_is_in_a_header_of_its_own_or_in_the_etag() {
        for (name, value, expected) in
            [("tidegate-revision", "7", Some(7)), ("etag", "\"8\"", Some(8)), ("etag", "W/\"x\"", None)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(revision(&headers), expected, "{name}: {value}");
        }
    }

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(escaped("a-b.c_1"), "a-b.c_1");
        assert_eq!(escaped("../a?b&c=ü"), "..%2Fa%3Fb%26c%3D%C3%BC");
    }
}
