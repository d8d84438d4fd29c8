//! Who asks for what is another's: every route and every field that takes an id, as the
//! OpenAPI document lists them, with ids of every kind, by three users. A route or a
//! field that is new fails here until it says what it refers to.

#![allow(clippy::disallowed_methods, reason = "a folder of its own, and rows of every table")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aimate_accounts::{
    AccountSettings, Accounts, ApiTokenRequest, Client, Credential, InviteRequest, SigningSecret,
};
use aimate_core::api_token::TokenScope;
use aimate_core::chat::Turn;
use aimate_core::connection::NewConnection;
use aimate_core::file::NewFile;
use aimate_core::group::NewGroup;
use aimate_core::knowledge::{NewAttachment, NewCollection, NewDocument};
use aimate_core::prompt::NewPrompt;
use aimate_core::share::NewShare;
use aimate_core::testing::{HashEmbedder, ScriptedProvider, ScriptedToolServer, answer};
use aimate_core::tool::{NewToolServer, Tool};
use aimate_core::upload::NewFileUpload;
use aimate_core::workspace::NewWorkspace;
use aimate_core::{Engine, Role, Scope, Secret, TenantId};
use aimate_http::{Callers, Options};
use aimate_providers::OPENAI;
use http::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use crate::common::{Bench, Reply, builder, request};

/// Whoever asks for what is Ann's: of her company, its admin, and another company's.
const OTHERS: [&str; 3] = ["bob", "root", "eve"];

/// Routes for admins alone: others are told so before anything is looked up.
const ADMINS_ALONE: [(&str, &str); 1] = [("GET", "/api/v1/audit")];

/// What an admin may see of the users of their own tenant.
const ADMINS_SEE: [(&str, &str); 3] =
    [("GET", "/api/v1/audit"), ("GET", "/api/v1/usage"), ("GET", "/api/v1/usage/records")];

/// Things of a tenant, not of a user: its admins see and change them, whoever made them
/// (`budget::budgets_are_of_one_tenant_and_for_its_admins`).
const OF_TENANTS: [&str; 2] = ["/api/v1/budgets/{id}", "/api/v1/prices/{id}"];

/// Routes below these are for admins, who see and change what is of their tenant: others
/// of it are told so, and the admin of another finds nothing.
const OF_ADMINS: [&str; 2] = ["/api/v1/users/", "/api/v1/invites/"];

/// Who has the link reads it, whoever they are (`share`); an id of anything opens nothing.
const LINKS: [&str; 1] = ["/api/v1/shared/{token}"];

/// Fields that carry an id and look nothing up.
const CARRIED: [(&str, &str); 5] = [
    (".subject.value", "an admin limits any user of the tenant; one of another is tried in `budget`"),
    // Parts that a client sends back to a model as it got them.
    (".content[].file_id", "a file part is refused: there is no way to upload one yet"),
    (".content[].handle", "aiMate's own; of a client's result it is left out"),
    (".content[].chunk_id", "a citation is aiMate's own part, and refused from clients"),
    (".content[].document_id", "a citation is aiMate's own part, and refused from clients"),
];

/// The kind of what a path parameter without a type of its own names.
fn kind_of_text(path: &str, name: &str) -> &'static str {
    match (path, name) {
        (path, "id") if path.starts_with("/v1/conversations/") => return "OpenAiConversation",
        ("/v1/conversations/{id}/items/{item}", "item") => return "OpenAiItem",
        (_, "vector_store_id") => return "VectorStore",
        (_, "file_id") => return "OpenAiFile",
        (_, "batch_id") => return "FileBatch",
        (_, "upload_id") => return "Upload",
        _ => {}
    }
    match path {
        "/api/v1/models/{id}/enable" | "/api/v1/models/{id}/disable" | "/v1/models/{id}" => "Model",
        "/api/v1/shared/{token}" => "Token",
        "/v1/responses/{id}" | "/v1/responses/{id}/cancel" | "/v1/responses/{id}/input_items" => "Response",
        path => panic!("{path} takes an id without a type: say here what it names"),
    }
}

/// A body in which the field alone is foreign; `None` where the document has a field that
/// this operation does not take.
fn body(method: &str, path: &str, field: &str, foreign: &Value) -> Option<Value> {
    Some(match (method, path, field) {
        (_, "/v1/chat/completions" | "/api/v1/chat/completions", ".conversation_id") => {
            let messages = json!([{"role": "user", "content": "Mine?"}]);
            json!({"model": "lab/test", "messages": messages, "store": true, "conversation_id": foreign})
        }
        // Owners let in whom they like: any user of their tenant, and no other
        // (`only_users_of_the_tenant_are_let_in`).
        (_, "/api/v1/workspaces/{id}/members", ".id") => return None,
        ("POST", "/api/v1/connections", ".workspace_id") => {
            json!({"name": "mine", "provider": "openai", "url": "http://127.0.0.1:9/v1", "workspace_id": foreign})
        }
        ("POST", "/api/v1/tools/servers", ".workspace_id") => {
            json!({"name": "mine", "url": "http://127.0.0.1:9/mcp", "workspace_id": foreign})
        }
        ("POST", "/api/v1/conversations", ".workspace_id") => json!({"workspace_id": foreign}),
        ("POST", "/api/v1/knowledge/collections", ".workspace_id") => {
            json!({"name": "mine", "workspace_id": foreign})
        }
        ("PATCH", "/api/v1/knowledge/collections/{id}", ".workspace_id") => {
            json!({"workspace_id": foreign})
        }
        ("POST", "/api/v1/prompts", ".workspace_id") => {
            json!({"title": "Mine", "content": "Mine", "workspace_id": foreign})
        }
        ("PUT" | "PATCH", "/api/v1/conversations/{id}", ".active_leaf_id") => {
            json!({"active_leaf_id": foreign})
        }
        ("PUT" | "PATCH", "/api/v1/conversations/{id}", ".workspace_id") => json!({"workspace_id": foreign}),
        ("POST", "/api/v1/conversations/{id}/shares", ".message_id") => json!({"message_id": foreign}),
        ("POST", "/api/v1/conversations/{id}/fork", ".message_id") => json!({"message_id": foreign}),
        ("POST", "/api/v1/conversations/{id}/messages", ".parent_id") => {
            json!({"content": "Mine?", "stream": false, "parent_id": foreign})
        }
        ("POST", "/api/v1/messages", ".conversation.workspace_id") => {
            json!({"content": "Mine?", "stream": false, "conversation": {"workspace_id": foreign}})
        }
        // One schema of a turn serves several routes; of a conversation that is there
        // nothing is set, and a new one has no message to begin at.
        (_, "/api/v1/conversations/{id}/messages", ".conversation.workspace_id")
        | (_, "/api/v1/messages", ".parent_id")
        | (_, "/api/v1/conversations/{id}/messages/{mid}", _)
        | (_, "/api/v1/conversations/{id}/messages/{mid}/regenerate", _) => return None,
        _ => panic!("{method} {path} takes the id {field} in its body: give it a body here"),
    })
}

/// References that are no ids: names, and lists of them.
fn named_references(things: &Things) -> Vec<(Method, String, Value)> {
    let (collection, model) = (&things.ids["CollectionId"], &things.ids["Model"]);
    let messages = json!([{"role": "user", "content": "Mine?"}]);
    let completion = json!({"model": model, "messages": messages});
    let mut all = vec![
        (Method::POST, "/v1/chat/completions".to_owned(), completion.clone()),
        (Method::POST, "/api/v1/chat/completions".to_owned(), completion),
        (Method::POST, "/v1/embeddings".to_owned(), json!({"model": model, "input": "Mine?"})),
        (
            Method::POST,
            "/api/v1/messages".to_owned(),
            json!({"content": "Mine?", "stream": false, "model": model}),
        ),
    ];
    let simple = |kind: &str| things.ids[kind].replace('-', "");
    let store = json!([format!("vs_{}", simple("CollectionId"))]);
    for more in [
        json!({"model": model}),
        json!({"previous_response_id": things.ids["Response"]}),
        json!({"conversation": format!("conv_{}", simple("ConversationId"))}),
        json!({"prompt": {"id": format!("pmpt_{}", simple("PromptId"))}}),
        json!({"tools": [{"type": "file_search", "vector_store_ids": store}]}),
    ] {
        let mut body = json!({"model": "lab/test", "input": "Mine?"});
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        all.push((Method::POST, "/v1/responses".to_owned(), body.clone()));
        all.push((Method::POST, "/v1/responses/input_tokens".to_owned(), body));
    }
    let compact = json!({"model": "lab/test", "previous_response_id": things.ids["Response"]});
    all.push((Method::POST, "/v1/responses/compact".to_owned(), compact));
    all.push((Method::POST, "/v1/completions".to_owned(), json!({"model": model, "prompt": "Mine?"})));
    let (store, file) = (things.ids["VectorStore"].clone(), things.ids["OpenAiFile"].clone());
    all.push((Method::POST, "/v1/vector_stores".to_owned(), json!({"file_ids": [file]})));
    all.push((Method::POST, format!("/v1/vector_stores/{store}/files"), json!({"file_id": file})));
    for collections in [json!([collection]), json!(["manuals-of-ann"])] {
        let search = json!({"query": "boiler", "collections": collections});
        all.push((Method::POST, "/api/v1/knowledge/search".to_owned(), search));
        let turn = json!({"content": "Mine?", "stream": false, "knowledge": collections});
        all.push((Method::POST, "/api/v1/messages".to_owned(), turn));
    }
    all
}

/// What one user has: an id of each kind.
struct Things {
    ids: BTreeMap<&'static str, String>,
}

impl Things {
    async fn of(house: (&Engine, &Accounts), provider: &ScriptedProvider, token: &str, name: &str) -> Self {
        let (engine, accounts) = house;
        let principal = accounts.authenticate(token).await.unwrap();
        let Credential::Session(session) = principal.credential else { panic!("{name} signed in") };
        let new = ApiTokenRequest::new("ci", [TokenScope::Read]);
        let api_token = accounts.create_token(&principal, new).await.unwrap().token;
        let invite = accounts.invite_user(InviteRequest::default()).await.unwrap().invite;
        let scope = &principal.scope;
        provider.push(answer("The boiler is serviced in May."));
        let secret = NewConnection::new(format!("secret-of-{name}"), OPENAI).url("http://127.0.0.1:9/v1");
        let connection = engine.connections(scope).create(secret).await.unwrap();
        let workspace = engine.workspaces(scope).create(NewWorkspace::new("Cellar")).await.unwrap();
        let groups = engine.groups(&Scope { role: Role::Admin, ..*scope });
        let group = groups.create(NewGroup::new(format!("group-of-{name}"))).await.unwrap();
        groups.add_member(group.id, scope.user).await.unwrap();
        let tools = engine.tool_servers(scope);
        let oauth = NewToolServer::new(format!("tools-of-{name}"), "http://127.0.0.1:9/mcp").oauth();
        let tool_server = tools.create(oauth).await.unwrap().server.id;
        // Its tools are read at the first look, which writes.
        tools.usable().await.unwrap();
        let prompt = engine.prompts(scope).create(NewPrompt::new("Brief", "Be brief.")).await.unwrap();
        // As `/v1/responses` keeps it.
        let turn =
            Turn::new("When is the boiler serviced?").model("lab/test").request(json!({"response": {}}));
        let chat = engine.chat(scope, turn).await.unwrap();
        let (conversation, message, run) = (chat.conversation_id(), chat.message_id(), chat.run_id());
        chat.message().await.unwrap();
        let share = engine.shares(scope).create(conversation, NewShare::new()).await.unwrap().share;
        let knowledge = engine.knowledge(scope);
        let new = NewCollection::new(format!("manuals-of-{name}"));
        let collection = knowledge.create_collection(new).await.unwrap();
        let text = "The boiler in the cellar is serviced in May.".to_owned();
        let document = knowledge.add_text_to(collection.id, NewDocument::new("a.md"), text).await.unwrap();
        knowledge.wait(document.id).await.unwrap();
        let chunk = knowledge.chunks(document.id, 0, 1).await.unwrap().remove(0).id;
        let bytes = futures_util::stream::once(async { Ok("The boiler of the attic.".into()) });
        let file = engine.files(scope).create(NewFile::new("attic.md"), Box::pin(bytes)).await.unwrap().id;
        let attached = knowledge.attach_batch(collection.id, vec![NewAttachment::new(file)]).await.unwrap();
        let of_file = knowledge.attached(collection.id, file).await.unwrap();
        knowledge.wait(of_file.id).await.unwrap();
        let upload = NewFileUpload { file: NewFile::new("attic.pdf"), size: 1 };
        let upload = engine.uploads(scope).create(upload).await.unwrap().id;
        let ids = [
            ("Upload", format!("upload_{}", upload.uuid().simple())),
            ("VectorStore", format!("vs_{}", collection.id.uuid().simple())),
            ("OpenAiFile", format!("file-{}", file.uuid().simple())),
            ("FileBatch", format!("vsfb_{}", attached.id.uuid().simple())),
            ("ConnectionId", connection.id.to_string()),
            ("ToolServerId", tool_server.to_string()),
            ("WorkspaceId", workspace.id.to_string()),
            ("PromptId", prompt.id.to_string()),
            ("ConversationId", conversation.to_string()),
            ("OpenAiConversation", format!("conv_{}", conversation.0.simple())),
            ("OpenAiItem", format!("msg_{}0000", message.0.simple())),
            ("MessageId", message.to_string()),
            ("RunId", run.to_string()),
            ("Response", format!("resp_{}", run.0.simple())),
            ("ShareId", share.id.to_string()),
            ("Token", share.id.to_string()),
            ("CollectionId", collection.id.to_string()),
            ("DocumentId", document.id.to_string()),
            ("ChunkId", chunk.to_string()),
            ("FileId", scope.user.to_string()),
            ("UserId", scope.user.to_string()),
            ("MemberId", scope.user.to_string()),
            ("GroupId", group.id.to_string()),
            ("SessionId", session.to_string()),
            ("ApiTokenId", api_token.id.to_string()),
            ("InviteId", invite.id.to_string()),
            ("Model", format!("secret-of-{name}/test")),
        ];
        Self { ids: ids.into_iter().collect() }
    }
}

struct House {
    bench: Bench,
    /// The same engine, for those of the other tenant.
    other: Bench,
    folder: PathBuf,
    things: BTreeMap<&'static str, Things>,
    /// Access tokens.
    tokens: BTreeMap<&'static str, Secret>,
}

impl House {
    async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("aimate-isolation-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite:{}", folder.join("aimate.db").display());
        let store = aimate_store::connect(&url).await.unwrap();
        let provider = ScriptedProvider::new([]);
        let embedder = Arc::new(HashEmbedder::new("hash", 64));
        let tools = ScriptedToolServer::new([Tool::new("add", "Adds.", json!({"type": "object"}))]);
        let engine = builder(store.clone(), provider.clone()).embedder(embedder).tool_client(tools);
        let engine = engine.build().await.unwrap();
        let secret = SigningSecret::generate().unwrap();
        let accounts_of = |tenant: &str| {
            let settings = AccountSettings::new(secret.clone()).tenant(TenantId::of_key(tenant));
            Accounts::new(engine.clone(), store.clone(), settings)
        };
        let (mut tokens, mut things) = (BTreeMap::new(), BTreeMap::new());
        for (name, tenant, role) in [
            ("ann", "acme", Role::User),
            ("bob", "acme", Role::User),
            ("root", "acme", Role::Admin),
            ("eve", "other", Role::Admin),
        ] {
            let accounts = accounts_of(tenant);
            let (email, password) = (format!("{name}@example.org"), Secret::new("correct horse battery"));
            accounts.add_user(email.parse().unwrap(), None, role, &password).await.unwrap();
            let signed_in = accounts.login(&email, &password, &Client::default()).await.unwrap();
            let of = Things::of((&engine, &accounts), &provider, signed_in.access_token.expose(), name).await;
            // The models of configured connections are read at the first look, which writes.
            let principal = accounts.authenticate(signed_in.access_token.expose()).await.unwrap();
            engine.models(&principal.scope).list().await.unwrap();
            things.insert(name, of);
            tokens.insert(name, signed_in.access_token);
        }
        let bench_of = |tenant: &str| {
            let options = Options::default().callers(Callers::Accounts(accounts_of(tenant)));
            let router = aimate_http::router(engine.clone(), options);
            Bench { engine: engine.clone(), provider: provider.clone(), router }
        };
        Self { bench: bench_of("acme"), other: bench_of("other"), folder, things, tokens }
    }

    async fn ask(&self, user: &str, method: &Method, path: &str, body: Option<Value>) -> Reply {
        let mut request = request(method.clone(), path, body);
        let credential = format!("Bearer {}", self.tokens[user].expose());
        request.headers_mut().insert("authorization", credential.parse().unwrap());
        let bench = if user == "eve" { &self.other } else { &self.bench };
        bench.ask(request).await
    }

    async fn document(&self) -> Value {
        self.bench.get("/openapi.json").await.json()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An operation of the document with the ids that it takes.
struct Operation {
    method: Method,
    path: String,
    /// Parameters of the path: name and kind.
    path_ids: Vec<(String, String)>,
    /// Parameters of the query: name and kind.
    query_ids: Vec<(String, String)>,
    /// Fields of the body: path and kind.
    body_ids: Vec<(String, String)>,
}

impl Operation {
    fn is_in(&self, list: &[(&str, &str)]) -> bool {
        list.contains(&(self.method.as_str(), self.path.as_str()))
    }

    fn is_of_admins(&self) -> bool {
        OF_ADMINS.iter().any(|root| self.path.starts_with(root))
    }

    /// The path with the ids that `id` gives.
    fn at<'i>(&self, id: impl Fn(&str) -> &'i str) -> String {
        self.path_ids
            .iter()
            .fold(self.path.clone(), |path, (name, kind)| path.replace(&format!("{{{name}}}"), id(kind)))
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
            let of =
                |place: &'static str| parameters.iter().filter(move |parameter| parameter["in"] == place);
            let name = |parameter: &Value| parameter["name"].as_str().unwrap().to_owned();
            // An OpenID provider's name is the operator's, and everybody's to read; a call is of
            // its run.
            let is_id =
                |parameter: &&Value| parameter["name"] != "provider" && parameter["name"] != "call_id";
            let path_ids = of("path").filter(|parameter| is_id(parameter)).map(|parameter| {
                let kind = id_kind(document, &parameter["schema"]);
                (name(parameter), kind.unwrap_or_else(|| kind_of_text(path, &name(parameter)).to_owned()))
            });
            let query_ids = of("query")
                .filter_map(|parameter| Some((name(parameter), id_kind(document, &parameter["schema"])?)));
            let mut body_ids = Vec::new();
            for content in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                fields(document, &content.1["schema"], "", &mut BTreeSet::new(), &mut body_ids);
            }
            all.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                path_ids: path_ids.collect(),
                query_ids: query_ids.collect(),
                body_ids,
            });
        }
    }
    assert!(all.len() > 60, "{}", all.len());
    all
}

/// The name of the schema, if it is one of an id.
fn id_kind(document: &Value, schema: &Value) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let is_uuid = document["components"]["schemas"][name]["format"] == "uuid";
        return is_uuid.then(|| name.to_owned());
    }
    if schema["format"] == "uuid" {
        return Some("Uuid".to_owned());
    }
    let one_of =
        ["oneOf", "anyOf", "allOf"].iter().flat_map(|of| schema[*of].as_array().into_iter().flatten());
    one_of.filter_map(|one| id_kind(document, one)).next()
}

/// The fields of a schema that take an id.
fn fields(
    document: &Value,
    schema: &Value,
    at: &str,
    above: &mut BTreeSet<String>,
    found: &mut Vec<(String, String)>,
) {
    if let Some(kind) = id_kind(document, schema) {
        if !found.iter().any(|(field, _)| field == at) {
            found.push((at.to_owned(), kind));
        }
        return;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        if above.insert(name.to_owned()) {
            fields(document, &document["components"]["schemas"][name], at, above, found);
            above.remove(name);
        }
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        fields(document, field, &format!("{at}.{name}"), above, found);
    }
    for of in ["oneOf", "anyOf", "allOf"] {
        for one in schema[of].as_array().into_iter().flatten() {
            fields(document, one, at, above, found);
        }
    }
    if schema["items"].is_object() {
        fields(document, &schema["items"], &format!("{at}[]"), above, found);
    }
}

/// Columns that say when a credential was last used, which is written once a minute.
const OF_USE: [&str; 2] = ["last_activity_at", "last_used_at"];

/// Every row of the database but what the process itself writes now and then.
async fn dump(folder: &Path) -> Vec<String> {
    let mut session =
        SqliteConnection::connect(&format!("sqlite:{}", folder.join("aimate.db").display())).await.unwrap();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
        AND name NOT IN ('workers', 'message_index_jobs', 'message_segments', 'message_segment_blocks') ORDER BY name";
    let mut rows = Vec::new();
    for table in sqlx::query(tables).fetch_all(&mut session).await.unwrap() {
        let table: String = table.get("name");
        let columns =
            sqlx::query("SELECT group_concat(quote(name), ', ') AS names FROM pragma_table_info($1)");
        let columns = columns.bind(&table).fetch_one(&mut session).await.unwrap();
        let columns: String = columns.get("names");
        let kept =
            columns.split(", ").map(|name| name.trim_matches('\'')).filter(|name| !OF_USE.contains(name));
        let quoted = kept.map(|name| format!("quote({name})"));
        let quoted: Vec<String> = quoted.collect();
        let select = format!("SELECT {} AS content FROM {table} ORDER BY 1", quoted.join(" || ',' || "));
        for row in sqlx::query(AssertSqlSafe(select)).fetch_all(&mut session).await.unwrap() {
            rows.push(format!("{table}: {}", row.get::<String, _>("content")));
        }
    }
    session.close().await.unwrap();
    rows
}

fn code(reply: &Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    body["code"].as_str().or(body["error"]["code"].as_str()).unwrap_or_default().to_owned()
}

#[track_caller]
fn not_there(reply: &Reply, what: &str) {
    assert!(
        reply.status == 404 && code(reply).contains("not_found"),
        "{what}: {} {}",
        reply.status,
        reply.body
    );
}

#[tokio::test]
async fn sec_t14_every_route_with_every_foreign_id_finds_nothing() {
    let house = House::new().await;
    let anns = &house.things["ann"];
    let operations = operations(&house.document().await);
    let before = dump(&house.folder).await;
    let mut asked = 0;
    let of_users = |operation: &&Operation| {
        !operation.path_ids.is_empty() && !OF_TENANTS.contains(&operation.path.as_str())
    };
    for operation in operations.iter().filter(of_users) {
        if operation.method == Method::GET && !LINKS.contains(&operation.path.as_str()) {
            // The ids are real.
            let at = with_query(operation.at(|kind| &anns.ids[kind]));
            let who = if operation.is_of_admins() { "root" } else { "ann" };
            let reply = house.ask(who, &Method::GET, &at, None).await;
            assert_eq!(reply.status, 200, "{at}: {}", reply.body);
        }
        for user in OTHERS {
            // The groups, users and invites of a tenant are its admins'.
            let is_theirs = operation.is_of_admins() || operation.path.starts_with("/api/v1/groups");
            if user == "root" && is_theirs {
                continue;
            }
            for (kind, id) in &anns.ids {
                // A model's id has a slash, which no other path takes.
                let is_model = operation.path_ids.iter().any(|(_, kind)| kind == "Model");
                if is_model != (*kind == "Model") {
                    continue;
                }
                // Ids of `/v1` are no UUIDs: no path of admins has one, whoever asks.
                if operation.is_of_admins() && id.contains('_') {
                    continue;
                }
                let of_its_kind = operation.at(|own| {
                    anns.ids.get(own).unwrap_or_else(|| panic!("{own} has no thing of Ann's: make one"))
                });
                let of_one_kind = operation.at(|_| id);
                for at in BTreeSet::from([of_its_kind, of_one_kind.clone()]) {
                    // Where an id is a UUID, what is none is told so before anything else.
                    let is_malformed = at == of_one_kind && id.parse::<uuid::Uuid>().is_err();
                    let (body, at) = (some_body(operation), with_query(at));
                    let reply = house.ask(user, &operation.method, &at, body).await;
                    let what = format!("{user}: {} {at}", operation.method);
                    if user == "bob" && operation.is_of_admins() && !is_malformed {
                        assert_eq!(
                            (reply.status.as_u16(), code(&reply).as_str()),
                            (403, "forbidden"),
                            "{what}"
                        );
                    } else {
                        not_there(&reply, &what);
                    }
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 2_000, "{asked}");
    assert_eq!(dump(&house.folder).await, before);
}

/// The path with what its query needs.
fn with_query(at: String) -> String {
    match at.as_str() {
        _ if at.ends_with("/resources/content") => format!("{at}?uri=test://one"),
        _ if at.ends_with("/conversations/search") => format!("{at}?q=boiler"),
        _ => at,
    }
}

/// A body that is fine but for the path.
fn some_body(operation: &Operation) -> Option<Value> {
    if matches!(operation.method, Method::GET | Method::DELETE) {
        return None;
    }
    let path = operation.path.as_str();
    let nobody = "00000000-0000-7000-8000-000000000000";
    let file = "file-00000000000070008000000000000000";
    Some(match path {
        _ if path.starts_with("/v1/vector_stores/") && path.ends_with("/search") => {
            json!({"query": "boiler"})
        }
        _ if path.starts_with("/v1/vector_stores/") && path.ends_with("/files") => json!({"file_id": file}),
        _ if path.starts_with("/v1/uploads/") => json!({"part_ids": []}),
        _ if path.ends_with("/file_batches") => json!({"file_ids": [file]}),
        _ if path.starts_with("/v1/vector_stores/") => json!({}),
        _ if path.ends_with("/messages") || path.ends_with("/{mid}") => {
            json!({"content": "Mine?", "stream": false})
        }
        _ if path.ends_with("/regenerate") => json!({"stream": false}),
        _ if path.ends_with("/members") => json!({"id": nobody, "role": "viewer"}),
        _ if path.ends_with("/documents") => json!({"name": "x.md", "text": "Mine."}),
        _ if path.contains("/approvals/") => json!({"approve": true}),
        _ if path.contains("/inputs/") => json!({"action": "cancel"}),
        _ if path.ends_with("/policy") => json!({"add": "allow"}),
        _ if path.ends_with("/prompts") => json!({"name": "greet"}),
        _ if path.ends_with("/fork") => json!({"message_id": nobody}),
        "/v1/conversations/{id}" => json!({"metadata": {}}),
        "/v1/conversations/{id}/items" => json!({"items": [{"role": "user", "content": "Mine?"}]}),
        _ if operation.method == Method::POST => json!({}),
        _ if path.contains("conversations") || path.contains("prompts") => json!({"title": "Mine"}),
        _ => json!({"name": "mine"}),
    })
}

#[tokio::test]
async fn sec_t13_no_field_of_a_body_takes_a_foreign_id() {
    let house = House::new().await;
    let operations = operations(&house.document().await);
    let before = dump(&house.folder).await;
    let mut asked = 0;
    for user in OTHERS {
        let (anns, own) = (&house.things["ann"], &house.things[user]);
        for operation in &operations {
            for (field, kind) in &operation.body_ids {
                if CARRIED.iter().any(|(carried, _)| field == carried) {
                    continue;
                }
                let foreign = anns.ids.get(kind.as_str());
                let foreign = foreign.unwrap_or_else(|| panic!("{kind} has no thing of Ann's: make one"));
                let Some(body) = body(operation.method.as_str(), &operation.path, field, &json!(foreign))
                else {
                    continue;
                };
                let at = operation.at(|kind| &own.ids[kind]);
                let reply = house.ask(user, &operation.method, &at, Some(body)).await;
                not_there(&reply, &format!("{user}: {} {at} with {field}", operation.method));
                asked += 1;
            }
        }
        for (method, path, body) in named_references(anns) {
            let reply = house.ask(user, &method, &path, Some(body)).await;
            not_there(&reply, &format!("{user}: {method} {path}"));
        }
    }
    assert!(asked > 25, "{asked}");
    assert_eq!(dump(&house.folder).await, before);
}

#[tokio::test]
async fn sec_t16_no_list_shows_what_a_foreign_id_stands_for() {
    let house = House::new().await;
    let operations = operations(&house.document().await);
    let before = dump(&house.folder).await;
    let anns = &house.things["ann"];
    let mut asked = 0;
    for user in OTHERS {
        for operation in &operations {
            for (name, kind) in &operation.query_ids {
                let foreign = anns.ids.get(kind.as_str()).or_else(|| anns.ids.get("UserId")).unwrap();
                let own = &house.things[user];
                let at = with_query(operation.at(|kind| &own.ids[kind]));
                let at = format!("{at}{}{name}={foreign}", if at.contains('?') { '&' } else { '?' });
                let reply = house.ask(user, &operation.method, &at, None).await;
                let what = format!("{user}: {} {at}: {} {}", operation.method, reply.status, reply.body);
                if user == "bob" && operation.is_in(&ADMINS_ALONE) {
                    assert_eq!(
                        (reply.status.as_u16(), code(&reply)),
                        (403, "forbidden".to_owned()),
                        "{what}"
                    );
                } else if user == "root" && operation.is_in(&ADMINS_SEE) {
                    assert_eq!(reply.status, 200, "{what}");
                } else if reply.status == 200 {
                    assert_eq!(reply.json()["data"], json!([]), "{what}");
                } else {
                    not_there(&reply, &what);
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 25, "{asked}");
    assert_eq!(dump(&house.folder).await, before);
}

#[tokio::test]
async fn sec_t12_lists_and_searches_show_ones_own_alone() {
    let house = House::new().await;
    let anns = &house.things["ann"];
    for operation in operations(&house.document().await) {
        if operation.method != Method::GET || !operation.path_ids.is_empty() {
            continue;
        }
        for user in ["bob", "eve"] {
            let reply = house.ask(user, &Method::GET, &with_query(operation.path.clone()), None).await;
            for (kind, id) in anns.ids.iter().filter(|(kind, _)| **kind != "Model") {
                assert!(!reply.body.contains(id.as_str()), "{user}: {} shows Ann's {kind}", operation.path);
            }
        }
    }
    for user in OTHERS {
        let search = json!({"query": "When is the boiler serviced?"});
        let reply = house.ask(user, &Method::POST, "/api/v1/knowledge/search", Some(search)).await;
        let hits = reply.json()["data"].as_array().unwrap().clone();
        assert!(!hits.is_empty(), "{user} finds nothing of their own");
        assert!(hits.iter().all(|hit| hit["collection_id"] == house.things[user].ids["CollectionId"]));
    }
}

#[tokio::test]
async fn sec_t18_credential_of_another_tenant_is_nobodys() {
    let house = House::new().await;
    let eve = house.tokens["eve"].expose();
    let mut request = request(Method::GET, "/api/v1/users", None);
    request.headers_mut().insert("authorization", format!("Bearer {eve}").parse().unwrap());
    house.bench.ask(request).await.problem(401, "unauthenticated");
    assert_eq!(house.ask("eve", &Method::GET, "/api/v1/users", None).await.status, 200);
}
