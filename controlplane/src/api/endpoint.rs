//! A path with its handlers and their documentation in one place, so that neither can be without the other.

use axum::{handler::Handler, routing::MethodRouter};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        ArrayBuilder, Content, Header, HttpMethod, ObjectBuilder, Ref, RefOr, Required, Response, Schema,
        path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, Paths},
        request_body::RequestBodyBuilder,
        response::ResponseBuilder,
        schema::{SchemaType, Type},
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{Api, V1, body::MediaType, document, problem::ProblemDocument};

type Schemas = Vec<(String, RefOr<Schema>)>;

/// One path of the API.
pub(super) struct Endpoint {
    path: String,
    schemas: Schemas,
    item: PathItem,
    router: MethodRouter<Api>,
}

impl Endpoint {
    /// An endpoint under `/api/v1`; `{names}` in braces become path parameters.
    pub(super) fn new(path: impl AsRef<str>) -> Self {
        Self::open(format!("{V1}{}", path.as_ref()))
    }

    /// An endpoint anywhere.
    pub(super) fn open(path: impl Into<String>) -> Self {
        Self { path: path.into(), schemas: Vec::new(), item: PathItem::default(), router: MethodRouter::new() }
    }

    pub(super) fn get<H: Handler<T, Api>, T: 'static>(self, handler: H, doc: Doc) -> Self {
        self.on(HttpMethod::Get, doc, |router| router.get(handler))
    }

    pub(super) fn post<H: Handler<T, Api>, T: 'static>(self, handler: H, doc: Doc) -> Self {
        self.on(HttpMethod::Post, doc, |router| router.post(handler))
    }

    pub(super) fn put<H: Handler<T, Api>, T: 'static>(self, handler: H, doc: Doc) -> Self {
        self.on(HttpMethod::Put, doc, |router| router.put(handler))
    }

    pub(super) fn patch<H: Handler<T, Api>, T: 'static>(self, handler: H, doc: Doc) -> Self {
        self.on(HttpMethod::Patch, doc, |router| router.patch(handler))
    }

    pub(super) fn delete<H: Handler<T, Api>, T: 'static>(self, handler: H, doc: Doc) -> Self {
        self.on(HttpMethod::Delete, doc, |router| router.delete(handler))
    }

    fn on(mut self, method: HttpMethod, doc: Doc, mount: impl FnOnce(MethodRouter<Api>) -> MethodRouter<Api>) -> Self {
        let (mut operation, schemas) = (doc.operation, doc.schemas);
        for name in self.path.split(['{', '}']).skip(1).step_by(2) {
            operation = operation.parameter(path_parameter(name));
        }
        let mut operation = operation.build();
        if self.path.starts_with(V1) {
            document::add_problems(&mut operation, &method, self.path.contains('{'));
        }
        self.item.merge_operations(PathItem::new(method, operation));
        self.schemas.extend(schemas);
        self.schemas.push((ProblemDocument::name().into_owned(), <ProblemDocument as utoipa::PartialSchema>::schema()));
        ProblemDocument::schemas(&mut self.schemas);
        self.router = mount(self.router);
        self
    }

    /// Mounts the endpoint.
    pub(super) fn mount(self, router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
        for (name, schema) in &self.schemas {
            let mounted = router.get_openapi().components.as_ref().and_then(|components| components.schemas.get(name));
            let mut ours = self.schemas.iter().filter(|(other, _)| other == name).map(|(_, schema)| schema);
            // The later one would silently take the name.
            debug_assert!(mounted.is_none_or(|mounted| mounted == schema), "two types have the schema {name}");
            debug_assert!(ours.all(|ours| ours == schema), "two types have the schema {name}");
        }
        let mut paths = Paths::new();
        paths.paths.insert(self.path, self.item);
        router.routes((self.schemas, paths, self.router))
    }
}

/// The documentation of one operation.
pub(super) struct Doc {
    operation: OperationBuilder,
    schemas: Schemas,
}

impl Doc {
    pub(super) fn new(tag: &str, id: impl Into<String>, summary: impl Into<String>) -> Self {
        let operation = OperationBuilder::new().tag(tag).operation_id(Some(id)).summary(Some(summary));
        Self { operation, schemas: Schemas::new() }
    }

    pub(super) fn description(mut self, text: &str) -> Self {
        self.operation = self.operation.description(Some(text));
        self
    }

    /// The parameters of the query.
    pub(super) fn query<P: IntoParams>(mut self) -> Self {
        for parameter in P::into_params(|| Some(ParameterIn::Query)) {
            self.operation = self.operation.parameter(parameter);
        }
        self
    }

    /// A request header field.
    pub(super) fn field(mut self, name: &str, description: &str) -> Self {
        let field = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(string()));
        self.operation = self.operation.parameter(field);
        self
    }

    /// The request's body.
    pub(super) fn body<T: ToSchema>(mut self, media_types: &[MediaType]) -> Self {
        let schema = self.schema::<T>();
        self.body_of(&schema, media_types, Required::True)
    }

    /// A body that the request may go without.
    pub(super) fn optional_body<T: ToSchema>(mut self, media_types: &[MediaType]) -> Self {
        let schema = self.schema::<T>();
        self.body_of(&schema, media_types, Required::False)
    }

    /// The body of a request whose path says the name: the body may leave it out.
    pub(super) fn body_named_by_path<T: ToSchema>(mut self, media_types: &[MediaType]) -> Self {
        T::schemas(&mut self.schemas);
        let mut schema = T::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required.retain(|member| member != "name");
        }
        let name = format!("{}Named", T::name());
        self.schemas.push((name.clone(), schema));
        self.body_of(&Ref::from_schema_name(name).into(), media_types, Required::True)
    }

    fn body_of(mut self, schema: &RefOr<Schema>, media_types: &[MediaType], required: Required) -> Self {
        let body = media_types
            .iter()
            .fold(RequestBodyBuilder::new(), |body, media_type| {
                body.content(media_type.names()[0], Content::new(Some(schema.clone())))
            })
            .required(Some(required));
        self.operation = self.operation.request_body(Some(body.build()));
        self
    }

    /// An answer with a JSON body.
    pub(super) fn answers<T: ToSchema>(mut self, status: u16, description: &str, fields: &[Field]) -> Self {
        let content = Content::new(Some(self.schema::<T>()));
        let response = with_fields(ResponseBuilder::new().description(description), fields);
        self.respond(status, response.content("application/json", content).build())
    }

    /// An answer with a JSON body, and an example of it.
    pub(super) fn answers_example<T: ToSchema>(mut self, description: &str, example: &str) -> Self {
        let mut content = Content::new(Some(self.schema::<T>()));
        content.example = Some(serde_json::from_str(example).expect("examples are JSON"));
        let response = ResponseBuilder::new().description(description).content("application/json", content);
        self.respond(200, response.build())
    }

    /// An answer in text that has a `T` in each of its parts, with an example.
    pub(super) fn answers_stream<T: ToSchema>(mut self, media_type: &str, description: &str, example: &str) -> Self {
        self.schema::<T>();
        let mut content = Content::new(Some(string()));
        content.example = Some(example.into());
        let response = ResponseBuilder::new().description(description).content(media_type, content);
        self.respond(200, response.build())
    }

    /// An answer with a page of a list.
    pub(super) fn answers_page<T: ToSchema>(mut self, description: &str) -> Self {
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("What to send as `after` for the next page; null on the last one."));
        let page = ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(self.schema::<T>()))
            .property("next", next)
            .required("items")
            .required("next");
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", Content::new(Some(Schema::from(page.build()))));
        self.respond(200, response.build())
    }

    /// An answer in JSON or YAML, as the client accepts.
    pub(super) fn answers_document<T: ToSchema>(mut self, description: &str, fields: &[Field]) -> Self {
        let content = Content::new(Some(self.schema::<T>()));
        let response = with_fields(ResponseBuilder::new().description(description), fields)
            .content("application/json", content.clone())
            .content("application/yaml", content);
        self.respond(200, response.build())
    }

    /// An answer in text.
    pub(super) fn answers_text(self, media_type: &str, description: &str) -> Self {
        let response = ResponseBuilder::new().description(description);
        self.respond(200, response.content(media_type, Content::new(Some(string()))).build())
    }

    /// A refusal that only this operation gives, or gives for a reason of its own.
    pub(super) fn answers_problem(self, status: u16, description: &str) -> Self {
        let content = Content::new(Some(Ref::from_schema_name(ProblemDocument::name())));
        let response = ResponseBuilder::new().description(description).content(super::problem::MEDIA_TYPE, content);
        self.respond(status, response.build())
    }

    /// An answer without a body.
    pub(super) fn answers_empty(self, status: u16, description: &str, fields: &[Field]) -> Self {
        self.respond(status, with_fields(ResponseBuilder::new().description(description), fields).build())
    }

    fn respond(mut self, status: u16, response: Response) -> Self {
        self.operation = self.operation.response(status.to_string(), response);
        self
    }

    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name()).into()
    }
}

/// A header field of an answer: its name and what it says.
pub(super) type Field = (&'static str, &'static str);

pub(super) const ETAG: Field = ("ETag", "The revision of the last change; send it back as If-Match.");
pub(super) const LOCATION: Field = ("Location", "Where the new resource is.");
pub(super) const REVISION: Field = ("Tidegate-Revision", "The current revision after the write.");
pub(super) const WARNING: Field =
    ("Tidegate-Warning", "Something about the write that is probably not meant; once for each, at most 10.");

fn with_fields(response: ResponseBuilder, fields: &[Field]) -> ResponseBuilder {
    fields.iter().fold(response, |response, (name, description)| {
        let mut header = Header::new(string());
        header.description = Some((*description).to_owned());
        response.header(*name, header)
    })
}

fn path_parameter(name: &str) -> Parameter {
    let description = match name {
        "upstream" => "The upstream's name.",
        "number" => "The revision's number.",
        "id" => "The data plane's instance id.",
        _ => "The resource's name.",
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(string()))
        .build()
}

fn string() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build().into()
}

/// Adds a response that several operations share.
pub(super) fn add_response(operation: &mut Operation, status: &str, description: &str) {
    let content = Content::new(Some(Ref::from_schema_name(ProblemDocument::name())));
    let response = ResponseBuilder::new().description(description).content(super::problem::MEDIA_TYPE, content);
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.build().into());
}
