//! The OpenAPI document: what all operations have in common.

use utoipa::openapi::{
    Components, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, RefOr,
    path::{Operation, Parameter},
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    tag::TagBuilder,
};

use super::endpoint::add_response;

const BEARER: &str = "bearer";

/// The document as JSON, as it lies in `openapi/openapi.json`.
pub(crate) fn document() -> String {
    let mut json = super::endpoints().into_openapi().to_pretty_json().expect("the document has string keys only");
    json.push('\n');
    json
}

/// The document without paths.
pub(super) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Tidegate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The REST API of Tidegate's control plane. Each write is checked, committed as one numbered revision and \
             published to the data planes.",
        ))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let mut components = Components::new();
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description = Some("A token: the first start writes one to `admin.token` in the data directory.".to_owned());
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    let tags = [
        ("listeners", "Bound addresses."),
        ("upstreams", "Groups of backends, with their backends and circuit breakers."),
        ("routes", "What to do with which request."),
        ("ip-rules", "Which clients may come in."),
        ("settings", "What holds for everything."),
        ("config", "The whole configuration in one piece."),
        ("revisions", "What was committed, by whom, and the way back."),
        ("data-planes", "Who applies the configuration."),
        ("status", "What upstreams and endpoints are doing, and what happens to them."),
        ("tokens", "Who may call this API."),
        ("operation", "Liveness, readiness and metrics; no token is needed."),
    ];
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .tags(Some(tags.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build())))
        .build()
}

/// Adds what every operation under `/api/v1` can answer when it is not done, and that it needs a token.
pub(super) fn add_problems(operation: &mut Operation, method: &HttpMethod, names_a_resource: bool) {
    let write = !matches!(method, HttpMethod::Get);
    let body = operation.request_body.is_some();
    // Tokens and data planes are written without a revision.
    let waits = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.name == "wait");
    let commits = operation.parameters.iter().flatten().any(waits);
    let mut add = |status: &str, when: bool, description: &str| {
        if when {
            add_response(operation, status, description);
        }
    };
    add("400", true, "`malformed`: the body is not JSON or YAML, or a query parameter is not known or not right.");
    add("401", true, "`unauthorized`: no token, or an unknown one.");
    add("403", write, "`forbidden`: the token's role only reads.");
    add("404", names_a_resource, "`not_found`");
    add("408", body, "`timeout`: the body did not come in time.");
    add("409", write, "`already_exists`, `in_use` or `conflict`");
    add("412", commits, "`precondition_failed`: If-Match or If-None-Match does not hold.");
    add("413", body, "`too_large`: the body has too many bytes.");
    add("415", body, "`unsupported_media_type`");
    add("422", body || commits, "`invalid`, `listener_unavailable` or `too_large`: `findings` name the places.");
    add("500", true, "`internal`: a defect; the control plane's log says more.");
    add("503", true, "`store_unavailable`: the database cannot be read or written; nothing changed.");
    add("504", commits, "`not_applied`: committed, but with `wait` not every data plane acted on it in time.");
    operation.security = Some(vec![SecurityRequirement::new(BEARER, [""; 0])]);
}
