//! The handle over HTTP, so that any program can do what a test does.
//!
//! It listens at an address of its own, where no fault reaches it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::str::FromStr;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;

use super::{
    ApiServer, Backup, Credentials, Cut, History, Refusal, Requests, Telling, Token, read_objects,
};

/// What `GET /control` answers.
pub const HELP: &str = "\
GET  /control/kubeconfig                      a kubeconfig for the API server
GET  /control/stats                           requests, bytes sent, connections, revision
GET  /control/requests                        the requests so far, as JSON
POST /control/forget-requests
POST /control/apply                           objects in the body, YAML or JSON
POST /control/delete?resource=services&namespace=default&name=web
POST /control/tokens                          lines of `TOKEN USER`: from now on only these are good
POST /control/backup                          remembers what is there
POST /control/restore                         goes back to it: a lower revision, no history

Faults. REQUESTS is any of verb=watch&resource=services; without it, every request.
POST /control/faults/cut-connections          resets all connections
POST /control/faults/refuse-connections       nobody listens; what is connected stays
POST /control/faults/listen                   listens again
POST /control/faults/stop                     nobody listens, and nothing is connected
POST /control/faults/start?history=dropped    starts again; without `history`, watches can go on
POST /control/faults/stall                    no byte moves on any connection; none is closed
POST /control/faults/go-on                    ends the stall
POST /control/faults/slow-down?rate=1000      bytes a second on each connection; 0 is no limit
POST /control/faults/refuse-next?count=3&code=500&REQUESTS
POST /control/faults/cut-watches?events=3&REQUESTS    each watch breaks off after three lines,
POST /control/faults/cut-watches?bytes=100&REQUESTS   or after so many bytes, wherever that is
POST /control/faults/mute-watches?REQUESTS    watches stay open and say nothing
POST /control/faults/end-watches              ends open watches in good order
POST /control/faults/expire-watches           ends open watches with 410 Expired
POST /control/faults/drop-history             older revisions are answered with 410 Expired
POST /control/faults/tell-twice               watches tell each event twice
POST /control/faults/end                      ends all faults
";

/// A request's query.
type Query = BTreeMap<String, String>;

/// Answers at `listener`, on this thread and one after another, for as long as the process lives.
/// `credentials` are what a kubeconfig has that is asked for.
///
/// # Errors
/// When the listener is not usable.
pub fn serve(
    server: &ApiServer,
    listener: TcpListener,
    credentials: Credentials,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let desk = Desk { server, credentials, backup: RefCell::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let service =
                service_fn(|request| async { Ok::<_, Infallible>(desk.answer(request).await) });
            let mut http = http1::Builder::new();
            http.keep_alive(false).header_read_timeout(None);
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        }
    })
}

struct Desk<'a> {
    server: &'a ApiServer,
    credentials: Credentials,
    backup: RefCell<Option<Backup>>,
}

/// Why something is not done, in a sentence.
type Problem = String;

impl Desk<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body = String::from_utf8_lossy(&body);
        let path = head.uri.path().trim_end_matches('/');
        let (status, text) = match self.carry_out(&head.method, path, &query, &body) {
            Some(Ok(text)) => (StatusCode::OK, text),
            Some(Err(problem)) => (StatusCode::BAD_REQUEST, format!("{problem}\n")),
            None => (StatusCode::NOT_FOUND, format!("there is no such thing here, but:\n{HELP}")),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }

    fn carry_out(
        &self,
        method: &Method,
        path: &str,
        query: &Query,
        body: &str,
    ) -> Option<Result<String, Problem>> {
        let rest = path.strip_prefix("/control")?;
        match *method {
            Method::GET => self.look(rest).map(Ok),
            Method::POST => match rest.strip_prefix("/faults/") {
                Some(fault) => Some(self.fault(fault, query)?.map(|()| String::new())),
                None => self.change(rest, query, body),
            },
            _ => None,
        }
    }

    fn look(&self, what: &str) -> Option<String> {
        let server = self.server;
        Some(match what {
            "" => HELP.to_owned(),
            "/kubeconfig" => server.kubeconfig(&self.credentials),
            "/requests" => format!("{:#}\n", json!(server.requests())),
            "/stats" => {
                let stats = json!({
                    "requests": server.request_count(),
                    "bytesSent": server.bytes_sent(),
                    "connections": server.connections(),
                    "revision": server.revision(),
                });
                format!("{stats:#}\n")
            }
            _ => return None,
        })
    }

    fn change(&self, what: &str, query: &Query, body: &str) -> Option<Result<String, Problem>> {
        let done = match what {
            "/apply" => self.apply(body),
            "/delete" => self.delete(query),
            "/tokens" => tokens(body).map(|tokens| {
                self.server.set_tokens(&tokens);
                String::new()
            }),
            "/forget-requests" => {
                self.server.forget_requests();
                Ok(String::new())
            }
            "/backup" => {
                *self.backup.borrow_mut() = Some(self.server.backup());
                Ok(String::new())
            }
            "/restore" => match &*self.backup.borrow() {
                Some(backup) => {
                    self.server.restore(backup);
                    Ok(String::new())
                }
                None => Err("there is no backup; POST /control/backup makes one".to_owned()),
            },
            _ => return None,
        };
        Some(done)
    }

    fn apply(&self, text: &str) -> Result<String, Problem> {
        let objects = read_objects(text).map_err(|error| error.to_string())?;
        for object in &objects {
            self.server.try_apply(object).map_err(|refusal| refusal.message)?;
        }
        Ok(format!("{} applied\n", objects.len()))
    }

    fn delete(&self, query: &Query) -> Result<String, Problem> {
        let of = |name: &str| query.get(name).map_or("", String::as_str);
        let resource = of("resource");
        if !super::KINDS.iter().any(|kind| kind.plural == resource) {
            return Err(format!("resource={resource}: no such resource is served"));
        }
        let namespace = query.get("namespace").map_or("default", String::as_str);
        match self.server.delete(resource, namespace, of("name")) {
            true => Ok("deleted\n".to_owned()),
            false => Err(format!("there is no {resource} {namespace}/{}", of("name"))),
        }
    }

    fn fault(&self, fault: &str, query: &Query) -> Option<Result<(), Problem>> {
        let server = self.server;
        match fault {
            "cut-connections" => server.cut_connections(),
            "refuse-connections" => server.refuse_connections(),
            "listen" => server.listen(),
            "stop" => server.stop(),
            "start" => {
                let dropped = query.get("history").is_some_and(|history| history == "dropped");
                server.start_again(if dropped { History::Dropped } else { History::Kept });
            }
            "stall" => server.stall(),
            "go-on" => server.go_on(),
            "mute-watches" => server.mute_watches(requests(query)),
            "end-watches" => server.end_watches(),
            "expire-watches" => server.expire_watches(),
            "drop-history" => server.drop_history(),
            "tell-twice" => server.tell(Telling::Twice),
            "end" => server.end_faults(),
            "slow-down" => {
                return Some(number(query, "rate").map(|rate| server.slow_down(rate)));
            }
            "refuse-next" => return Some(self.refuse_next(query)),
            "cut-watches" => {
                return Some(cut(query).map(|cut| server.cut_watches(requests(query), cut)));
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn refuse_next(&self, query: &Query) -> Result<(), Problem> {
        let code = number(query, "code")?;
        let refusal = Refusal::of_code(code);
        let refusal = refusal.ok_or_else(|| format!("code={code}: no server answers so"))?;
        self.server.refuse_next(number(query, "count")?, requests(query), refusal);
        Ok(())
    }
}

fn requests(query: &Query) -> Requests {
    let requests = Requests::any();
    let requests = query.get("verb").into_iter().fold(requests, |all, verb| all.verb(verb));
    query.get("resource").into_iter().fold(requests, |all, resource| all.resource(resource))
}

fn cut(query: &Query) -> Result<Cut, Problem> {
    match (query.contains_key("events"), query.contains_key("bytes")) {
        (true, false) => number(query, "events").map(Cut::Events),
        (false, true) => number(query, "bytes").map(Cut::Bytes),
        _ => Err("after what? events=N or bytes=N".to_owned()),
    }
}

fn number<T: FromStr>(query: &Query, name: &str) -> Result<T, Problem> {
    let text = query.get(name).ok_or_else(|| format!("{name}= is missing"))?;
    text.parse().map_err(|_| format!("{name}={text}: not a number"))
}

fn tokens(text: &str) -> Result<Vec<Token>, Problem> {
    let token = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [token, user] => Ok(Token { token: token.to_owned(), user: user.to_owned() }),
        _ => Err("each line is `TOKEN USER`".to_owned()),
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(token).collect()
}
