//! The life of a connection: hello, judgement, then reading and writing at the same time until one side ends it.

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    io::AsyncWriteExt,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::codec::FramedRead;
use tracing::{debug, info, warn};

use shared::protocol::{self, FrameCodec, FrameError, Hello, Material, Revision, ToControl, ToData};

use super::{
    State, bounds,
    entry::{Entry, Push},
    events::Occurrence,
    foreign,
    publication::Publication,
    registry::{Inbox, Member},
};

type Frames = FramedRead<OwnedReadHalf, FrameCodec<ToControl, ToData>>;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the data plane closed it")]
    Closed,
    #[error("a newer connection of the same data plane replaced it")]
    Replaced,
    #[error("no hello came in time")]
    NoHello,
    #[error("the first frame was not a hello")]
    NotHello,
    #[error("the data plane speaks version {theirs} of the protocol, this control plane version {}", protocol::VERSION)]
    Protocol { theirs: u32 },
    #[error(
        "a second hello, of protocol version {theirs}; this control plane speaks version {} and expects one hello",
        protocol::VERSION
    )]
    SecondHello { theirs: u32 },
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a frame could not be written: {0}")]
    Write(#[from] io::Error),
    #[error("the data plane reads too slowly: a write made no progress in time")]
    Stalled,
}

/// Serves one data plane until either side ends the connection. Dropping it ends the connection too.
pub(super) async fn run(state: Arc<State>, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut frames = Frames::new(read, FrameCodec::default());
    let hello = match greet(&mut frames, &state).await {
        Ok(hello) => hello,
        // Somebody who only looked whether anybody listens.
        Err(End::Closed) => return debug!("a control connection was closed before its hello"),
        Err(end) => return warn!(reason = %end, "ended a control connection before its hello"),
    };
    let published = state.newest.borrow().snapshot.clone();
    let reason = foreign::reason(hello.applied, &published, &*state.history).await;
    let (member, mut inbox) = state.registry.join(&hello, reason);

    let replaced = inbox.replaced.clone();
    let end = tokio::select! {
        () = replaced.cancelled() => End::Replaced,
        end = listen(&mut frames, &member) => end,
        Err(end) = feed(&mut write, &state, &member, &mut inbox) => end,
    };
    match end {
        End::Closed | End::Replaced => debug!(data_plane = %member.instance, reason = %end, "control connection ended"),
        end => warn!(data_plane = %member.instance, reason = %end, "ended the connection of a data plane"),
    }
}

/// The hello of a data plane that can be talked to.
async fn greet(frames: &mut Frames, state: &State) -> Result<Hello, End> {
    let first = timeout(state.limits.hello, frames.next()).await.map_err(|_| End::NoHello)?;
    match first.ok_or(End::Closed)?? {
        ToControl::Hello(hello) if hello.protocol == protocol::VERSION => Ok(hello),
        ToControl::Hello(hello) => Err(End::Protocol { theirs: hello.protocol }),
        _ => Err(End::NotHello),
    }
}

/// Takes in what the data plane says, until it ends.
async fn listen(frames: &mut Frames, member: &Member) -> End {
    while let Some(frame) = frames.next().await {
        match frame {
            Ok(ToControl::Hello(hello)) => return End::SecondHello { theirs: hello.protocol },
            Ok(frame) => take(frame, member),
            Err(error) => return error.into(),
        }
    }
    End::Closed
}

/// Takes in one frame. What cannot be true is left out with a warning: the data plane may have been given it before a restart.
fn take(frame: ToControl, member: &Member) {
    let data_plane = member.instance;
    member.with(Entry::seen);
    match frame {
        // Seen by the caller.
        ToControl::Hello(_) => {}
        ToControl::Applied(applied) => {
            let (revision, duration_us, faults) = (applied.revision.0, applied.duration_us, applied.listeners.len());
            match member.with(|entry| entry.applied(applied)) {
                Some(Ok(())) => {
                    info!(%data_plane, revision, duration_us, listener_faults = faults, "snapshot applied");
                    member.tell(Occurrence::RevisionApplied { revision: Revision(revision), duration_us });
                }
                Some(Err(reason)) => warn!(%data_plane, revision, reason, "ignored that a snapshot was applied"),
                None => {}
            }
        }
        ToControl::Rejected(rejected) => {
            let revision = rejected.revision.0;
            match member.with(|entry| entry.rejected(rejected)) {
                Some(Ok(findings)) => {
                    let findings = bounds::text(&findings.to_string(), bounds::MESSAGE);
                    info!(%data_plane, revision, findings, "snapshot rejected");
                    member.tell(Occurrence::RevisionRejected { revision: Revision(revision), reason: findings });
                }
                Some(Err(reason)) => warn!(%data_plane, revision, reason, "ignored that a snapshot was rejected"),
                None => {}
            }
        }
        ToControl::Persisted(persisted) => {
            let revision = persisted.revision.0;
            if let Some(Err(reason)) = member.with(|entry| entry.persisted(persisted)) {
                warn!(%data_plane, revision, reason, "ignored that a snapshot was persisted");
            }
        }
        ToControl::Report(mut report) => {
            let events = std::mem::take(&mut report.events);
            if let Some(lost) = member.with(|entry| entry.report(report)) {
                member.tell_transitions(events, lost);
            }
        }
        ToControl::Checked(checked) => {
            let id = checked.id;
            let asker = member.with(|entry| entry.link.as_mut().and_then(|link| link.asked.remove(&id)));
            if asker.flatten().is_none_or(|asker| asker.send(checked).is_err()) {
                debug!(%data_plane, id, "nobody waits for the answer to this check any more");
            }
        }
    }
}

/// Writes the newest publication whenever there is another one, and checks, until the connection fails.
async fn feed(
    socket: &mut OwnedWriteHalf,
    state: &State,
    member: &Member,
    inbox: &mut Inbox,
) -> Result<Infallible, End> {
    let mut newest = state.newest.subscribe();
    let mut sent = Sent::default();
    loop {
        let publication = newest.borrow_and_update().clone();
        sent.push(socket, state, member, publication).await?;
        tokio::select! {
            // The sender lives in `state`, so this only returns for another publication.
            _ = newest.changed() => {}
            () = inbox.wake.notified() => {}
            Some(check) = inbox.checks.recv() => write(socket, state, check).await?,
        }
    }
}

/// What a connection was sent last.
#[derive(Default)]
struct Sent {
    publication: Option<Arc<Publication>>,
    material: Option<Arc<Material>>,
}

impl Sent {
    /// Sends `publication` unless it was sent or its data plane is foreign; the material, if it differs, goes first.
    async fn push(
        &mut self,
        socket: &mut OwnedWriteHalf,
        state: &State,
        member: &Member,
        publication: Arc<Publication>,
    ) -> Result<(), End> {
        if self.publication.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, &publication)) {
            return Ok(());
        }
        let push = member.sending(publication.snapshot.held());
        if push == Push::Withheld {
            return Ok(());
        }
        let (Some(material), Some(snapshot)) =
            (publication.material_frame(), publication.snapshot_frame(push == Push::Adopt))
        else {
            return Ok(());
        };
        if self.material.as_ref() != Some(&publication.material) {
            write(socket, state, material).await?;
            self.material = Some(publication.material.clone());
        }
        write(socket, state, snapshot).await?;
        self.publication = Some(publication);
        Ok(())
    }
}

/// Writes a whole frame; each step of it must make progress in time.
async fn write(socket: &mut OwnedWriteHalf, state: &State, mut frame: Bytes) -> Result<(), End> {
    while !frame.is_empty() {
        let written = timeout(state.limits.write, socket.write_buf(&mut frame)).await.map_err(|_| End::Stalled)??;
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
    }
    Ok(())
}
