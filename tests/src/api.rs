//! A client of the REST API.

use std::{fmt, path::Path, time::Duration};

use serde_json::Value;
use ureq::{Agent, http::Request};

/// Speaks to one REST API.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    base: String,
    token: Option<String>,
}

/// An answer, whatever its status.
#[derive(Clone)]
pub struct Answer {
    /// Method and path, for messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The header fields; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body.
    pub bytes: Vec<u8>,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Api {
    /// A client of the API at `address` (`127.0.0.1:7080`) that sends `token`.
    pub fn new(address: &str, token: Option<&str>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self { agent: config.new_agent(), base: format!("http://{address}"), token: token.map(str::to_owned) }
    }

    /// A client with the admin token of `data_dir`.
    ///
    /// # Panics
    /// When there is no token file.
    pub fn of_admin(address: &str, data_dir: &Path) -> Self {
        let path = data_dir.join("admin.token");
        let token = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::new(address, Some(token.trim()))
    }

    /// The same API with another token, or none.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// `GET`. A path that does not start with `/` is one below `/api/v1/`.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], &[])
    }

    /// `POST` of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// `PUT` of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.request("PUT", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// `PATCH` of a JSON merge patch.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.request("PATCH", path, &[("content-type", "application/merge-patch+json")], body.to_string().as_bytes())
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], &[])
    }

    /// Any request; an empty body is none.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path} at {} has no answer: {error}", self.base))
    }

    /// Any request, where no answer is what a test expects.
    ///
    /// # Errors
    /// The connection failed, or gave no answer in time.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let slash = if path.starts_with('/') { "" } else { "/api/v1/" };
        let mut request = Request::builder().method(method).uri(format!("{}{slash}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response =
            if body.is_empty() { self.agent.run(request.body(())?) } else { self.agent.run(request.body(body)?) }?;
        let bytes = response.body_mut().with_config().limit(256 << 20).read_to_vec()?;
        let headers = response.headers().iter();
        Ok(Answer {
            request: format!("{method} {path}"),
            status: response.status().as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            bytes,
        })
    }
}

impl Answer {
    /// The answer itself, if its status is `status`.
    ///
    /// # Panics
    /// With the whole answer, if it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The value of a header field, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// `Tidegate-Revision`.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn revision(&self) -> u64 {
        let number = self.header("tidegate-revision").and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("no revision: {self}"))
    }

    /// The `code` of a problem document.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn code(&self) -> &str {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        self.body["code"].as_str().unwrap_or_else(|| panic!("no code: {self}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes);
        let shown: String = text.chars().take(2000).collect();
        write!(formatter, "{} was answered {} with {:?}\n{shown}", self.request, self.status, self.headers)
    }
}
