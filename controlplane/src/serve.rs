//! HTTP connections of the REST API.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections at a time; more wait in the accept queue.
const CONNECTIONS: usize = 512;
/// From one answer, or from the beginning, to the end of the next request head: idle and slow clients go.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer: an event stream that nobody reads would keep its connection for ever.
const STALL_TIME: Duration = Duration::from_secs(30);
/// After a failed accept, as when the process has no file descriptors left: not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `shutdown`, then finishes the requests that are under way.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, shutdown) = (router.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection(stream, router, shutdown).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection of the REST API could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    // Answers are small and written at once; without this a delayed ACK would hold some of them back.
    let _ = stream.set_nodelay(true);
    // The kernel ends the connection, a full receive buffer included (tcp(7), TCP_USER_TIMEOUT).
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STALL_TIME.as_millis() as u32);
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection of the REST API ended early");
    }
}
