//! Counts what is asked of the API server.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use tower::{Layer, Service};

use crate::metrics::Requests;

/// Puts a count around a client's connection.
pub(super) struct Counting {
    pub(super) requests: Requests,
    /// Name and port of the API server. Requests do not know it yet where they are counted.
    pub(super) host: Arc<str>,
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        let Self { requests, host } = self;
        Counted { inner, requests: requests.clone(), host: Arc::clone(host) }
    }
}

/// A connection whose answers are counted.
pub(super) struct Counted<S> {
    inner: S,
    requests: Requests,
    host: Arc<str>,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (requests, host) = (self.requests.clone(), Arc::clone(&self.host));
        let method = request.method().clone();
        let began = Instant::now();
        let count = move |answer: &Result<Response<B>, S::Error>| {
            let status = answer.as_ref().ok().map(Response::status);
            let code = status.as_ref().map_or("<error>", |status| status.as_str());
            requests.done(method.as_str(), &host, code, began.elapsed());
        };
        self.inner.call(request).inspect(count).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::metrics::{Limits, Metrics};

    /// Answers with a status, or not at all.
    struct Server(Result<u16, ()>);

    impl Service<Request<()>> for Server {
        type Response = Response<()>;
        type Error = io::Error;
        type Future = std::future::Ready<Result<Response<()>, io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            let answer = |status| Response::builder().status(status).body(()).unwrap();
            std::future::ready(self.0.map(answer).map_err(|()| io::ErrorKind::TimedOut.into()))
        }
    }

    #[test]
    fn each_answer_and_each_failure_counts() {
        let requests = Requests::default();
        let counting = Counting { requests: requests.clone(), host: "192.0.2.1:6443".into() };
        for server in [Ok(200), Ok(200), Ok(410), Err(())] {
            let request = Request::get("/api/v1/services").body(()).unwrap();
            let answer = counting.layer(Server(server)).call(request);
            let mut context = Context::from_waker(Waker::noop());
            assert!(pin!(answer).poll(&mut context).is_ready());
        }
        let metrics = Metrics::new(Limits::default(), std::time::UNIX_EPOCH, requests);
        let text = metrics.written();
        for (code, count) in [("200", 2), ("410", 1), ("<error>", 1)] {
            let series = format!(
                "rest_client_requests_total{{code=\"{code}\",method=\"GET\",\
                 host=\"192.0.2.1:6443\"}} {count}\n"
            );
            assert!(text.contains(&series), "{text}");
        }
        let timed = "rest_client_request_duration_seconds_count{verb=\"GET\",\
                     host=\"192.0.2.1:6443\"} 4\n";
        assert!(text.contains(timed), "{text}");
    }
}
