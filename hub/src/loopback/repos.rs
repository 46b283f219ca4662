//! Repositories, and what is answered about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::http::{Request, Response};
use super::{Fault, TOKEN};

/// Files of this size and more are stored as large ones.
const LARGE: usize = 10_000;
/// Entries on a page of the file tree.
const PAGE: usize = 3;

type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// A model or a data set.
#[derive(Default)]
pub(super) struct Repo {
    pub(super) private: bool,
    /// The newest last.
    commits: Vec<(String, Files)>,
}

impl Repo {
    pub(super) fn files(&self) -> Files {
        self.commits.last().map(|commit| commit.1.clone()).unwrap_or_default()
    }

    /// Adds and replaces files.
    pub(super) fn commit<'a>(&mut self, files: impl Iterator<Item = (&'a str, Vec<u8>)>) -> String {
        let mut now = self.files();
        now.extend(files.map(|(path, bytes)| (path.to_owned(), Arc::new(bytes))));
        let mut hasher = Sha256::new();
        hasher.update(self.commits.len().to_le_bytes());
        now.iter().for_each(|(path, bytes)| hasher.update([path.as_bytes(), bytes].concat()));
        let id = crate::hex(&hasher.finalize())[..40].to_owned();
        self.commits.push((id.clone(), now));
        id
    }

    fn at(&self, revision: &str) -> Option<&(String, Files)> {
        match revision {
            "main" => self.commits.last(),
            id => self.commits.iter().find(|commit| commit.0 == id),
        }
    }
}

/// Answers a request.
pub(super) fn answer(repos: &mut BTreeMap<String, Repo>, request: &Request, fault: &Fault) -> Response {
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["api", "repos", "create"]) => create(repos, request),
        (_, ["api", shelf, owner, name, rest @ ..]) => {
            let key = format!("{shelf}/{owner}/{name}");
            about(repos, &key, rest, request)
        }
        ("POST", [.., "info", "lfs", "objects", "batch"]) => {
            Response::json(&json!({"transfer": "basic", "objects": []}))
        }
        (_, ["datasets", owner, name, "resolve", revision, path @ ..]) => {
            content(repos, &format!("datasets/{owner}/{name}"), revision, &path.join("/"), request, fault)
        }
        (_, [owner, name, "resolve", revision, path @ ..]) => {
            content(repos, &format!("models/{owner}/{name}"), revision, &path.join("/"), request, fault)
        }
        _ => Response::error(404, "there is nothing of this name"),
    }
}

/// What the bearer of the request may do.
fn known(request: &Request) -> Option<bool> {
    let bearer = request.headers.get("authorization")?.strip_prefix("Bearer ")?;
    Some(bearer == TOKEN).filter(|_| !bearer.is_empty())
}

/// Refuses who may not see a repository, as the hub does.
fn visible<'a>(
    repos: &'a mut BTreeMap<String, Repo>,
    key: &str,
    request: &Request,
) -> Result<&'a mut Repo, Response> {
    let known = known(request);
    match repos.get_mut(key) {
        _ if known == Some(false) => Err(Response::error(401, "Invalid credentials in Authorization header")),
        Some(repo) if !repo.private || known == Some(true) => Ok(repo),
        _ if known.is_none() => Err(Response::error(401, "Invalid username or password.")),
        _ => Err(Response::error(404, "Repository not found")),
    }
}

fn create(repos: &mut BTreeMap<String, Repo>, request: &Request) -> Response {
    if known(request) != Some(true) {
        return Response::error(401, "Invalid username or password.");
    }
    let Ok(asked) = serde_json::from_slice::<Value>(&request.body) else {
        return Response::error(400, "this is no JSON");
    };
    let word = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let key = format!("{}s/{}/{}", word("type"), word("organization"), word("name"));
    if repos.contains_key(&key) {
        return Response::error(409, "You already created this repo");
    }
    repos.insert(key.clone(), Repo { private: asked["private"] == true, commits: Vec::new() });
    Response::json(&json!({ "url": format!("/{key}") }))
}

fn about(repos: &mut BTreeMap<String, Repo>, key: &str, rest: &[&str], request: &Request) -> Response {
    let repo = match visible(repos, key, request) {
        Ok(repo) => repo,
        Err(refusal) => return refusal,
    };
    match (request.method.as_str(), rest) {
        ("GET", []) => info(key, repo, "main"),
        ("GET", ["revision", revision]) => info(key, repo, revision),
        ("GET", ["tree", revision]) => tree(repo, revision, request),
        ("POST", [..]) if known(request) != Some(true) => Response::error(403, "You may not write here"),
        ("POST", ["preupload", _]) => preupload(&request.body),
        ("POST", ["commit", _]) => commit(repo, &request.body),
        _ => Response::error(404, "there is nothing of this name"),
    }
}

fn info(key: &str, repo: &Repo, revision: &str) -> Response {
    let id = key.split_once('/').map_or(key, |(_, id)| id);
    if repo.commits.is_empty() {
        return Response::json(&json!({ "id": id, "private": repo.private }));
    }
    match repo.at(revision) {
        Some((sha, _)) => Response::json(&json!({ "id": id, "sha": sha, "private": repo.private })),
        None => Response::error(404, "Invalid rev id"),
    }
}

/// A page of the file tree; the next one's address stands in `Link`.
fn tree(repo: &Repo, revision: &str, request: &Request) -> Response {
    let Some((_, files)) = repo.at(revision) else { return Response::error(404, "Invalid rev id") };
    let entries: Vec<Value> = files
        .iter()
        .map(|(path, bytes)| {
            let mut entry = json!({ "type": "file", "oid": "0", "size": bytes.len(), "path": path });
            if bytes.len() >= LARGE {
                entry["lfs"] = json!({ "oid": sum(bytes), "size": bytes.len(), "pointerSize": 134 });
            }
            entry
        })
        .collect();
    let page = request
        .query
        .split('&')
        .find_map(|pair| pair.strip_prefix("cursor=")?.parse().ok())
        .unwrap_or(0_usize);
    let shown: Vec<_> = entries.iter().skip(page * PAGE).take(PAGE).cloned().collect();
    let mut response = Response::json(&Value::Array(shown));
    if (page + 1) * PAGE < entries.len() {
        let host = request.headers.get("host").map_or("", String::as_str);
        let next = format!("http://{host}{}?recursive=true&cursor={}", request.path, page + 1);
        response.headers.push(("Link", format!("<{next}>; rel=\"next\"")));
    }
    response
}

fn sum(bytes: &[u8]) -> String {
    crate::hex(&Sha256::digest(bytes))
}

fn content(
    repos: &mut BTreeMap<String, Repo>,
    key: &str,
    revision: &str,
    path: &str,
    request: &Request,
    fault: &Fault,
) -> Response {
    let repo = match visible(repos, key, request) {
        Ok(repo) => repo,
        Err(refusal) => return refusal,
    };
    if let Fault::Status(status) = fault {
        return Response::error(*status, "the hub is tired");
    }
    let Some((commit, files)) = repo.at(revision) else { return Response::error(404, "Invalid rev id") };
    let Some(bytes) = files.get(path) else { return Response::error(404, "Entry not found") };
    let etag = if bytes.len() >= LARGE { sum(bytes) } else { sum(bytes)[..40].to_owned() };
    let mut body = bytes.to_vec();
    if let (Fault::Damage, Some(byte)) = (fault, body.last_mut()) {
        *byte ^= 1;
    }
    let headers = vec![("ETag", format!("\"{etag}\"")), ("X-Repo-Commit", commit.clone())];
    let mut response = Response { status: 200, headers, body, is_content: true };
    let range = request.headers.get("range").filter(|_| *fault != Fault::Whole);
    if let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
        let (Ok(from), Ok(to)) = (from.parse::<usize>(), to.parse::<usize>()) else {
            return Response::error(416, "no such range");
        };
        let all = response.body.len();
        if from >= all || to < from {
            return Response::error(416, "no such range");
        }
        let to = to.min(all - 1);
        response.headers.push(("Content-Range", format!("bytes {from}-{to}/{all}")));
        (response.status, response.body) = (206, response.body[from..=to].to_vec());
    }
    response
}

/// Which files are to come as large ones. None go through another store here: the client
/// then puts them into the commit.
fn preupload(body: &[u8]) -> Response {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let modes = asked["files"].as_array().into_iter().flatten().map(|file| {
        let large = file["size"].as_u64().is_some_and(|size| size >= LARGE as u64);
        json!({ "path": file["path"], "uploadMode": if large { "lfs" } else { "regular" }, "shouldIgnore": false })
    });
    Response::json(&json!({ "files": modes.collect::<Vec<_>>() }))
}

fn commit(repo: &mut Repo, body: &[u8]) -> Response {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut files = Vec::new();
    for line in lines {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { return Response::error(400, "no JSON") };
        match line["key"].as_str() {
            Some("header") => {}
            Some("file") => {
                let value = &line["value"];
                let content = value["content"].as_str().and_then(|text| STANDARD.decode(text).ok());
                let (Some(path), Some(content)) = (value["path"].as_str(), content) else {
                    return Response::error(400, "a file without a path or content");
                };
                files.push((path.to_owned(), content));
            }
            _ => return Response::error(400, "this hub takes files only"),
        }
    }
    let id = repo.commit(files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())));
    Response::json(&json!({ "success": true, "commitOid": id, "commitUrl": format!("/commit/{id}") }))
}
