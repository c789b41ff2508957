use std::{future::Future, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::question::{Family, Resolved};

/// The head start of each attempt before the next begins (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses of each family that are tried.
const TRIED: usize = 2;

/// How long all attempts together may take.
const LONGEST: Duration = Duration::from_secs(2);

/// Which family the addresses of one name can be reached by: that of the first connection that comes about, IPv6 first. None if
/// no connection does.
pub(super) async fn reachable_family(addresses: &[Resolved]) -> Option<Family> {
    race(addresses, |address| async move { TcpStream::connect(address).await.map(drop) }).await
}

async fn race<C>(addresses: &[Resolved], connect: impl Fn(SocketAddr) -> C) -> Option<Family>
where
    C: Future<Output = io::Result<()>>,
{
    let of = |family| addresses.iter().filter(move |resolved| resolved.family() == family).take(TRIED);
    let (mut v6, mut v4) = (of(Family::V6), of(Family::V4));
    let mut waiting = std::iter::from_fn(|| Some([v6.next(), v4.next()])).take(TRIED).flatten().flatten();
    let mut under_way = FuturesUnordered::new();
    let winner = async {
        loop {
            match waiting.next() {
                Some(resolved) => {
                    let connected = connect(resolved.address);
                    under_way.push(async move { connected.await.map(|()| resolved.family()) });
                }
                None if under_way.is_empty() => return None,
                None => {}
            }
            tokio::select! {
                biased;
                ended = under_way.next() => if let Some(Ok(family)) = ended { return Some(family) },
                () = sleep(HEAD_START) => {}
            }
        }
    };
    timeout(LONGEST, winner).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    /// How an address takes connections.
    #[derive(Clone, Copy)]
    enum Way {
        /// After so many milliseconds.
        Accepts(u64),
        Refuses,
        Silent,
    }

    async fn raced(v6: &[Way], v4: &[Way]) -> (Option<Family>, Duration, usize) {
        let started = Instant::now();
        let ways: Vec<(Resolved, Way)> = [("fd00::", v6), ("10.0.0.", v4)]
            .into_iter()
            .flat_map(|(prefix, ways)| {
                ways.iter().enumerate().map(move |(index, way)| {
                    let ip = format!("{prefix}{}", index + 1).parse().unwrap();
                    (Resolved { address: SocketAddr::new(ip, 80), weight: 1 }, *way)
                })
            })
            .collect();
        let addresses: Vec<Resolved> = ways.iter().map(|(resolved, _)| *resolved).collect();
        let tried = Mutex::new(0);
        let family = race(&addresses, |address| {
            *tried.lock().unwrap() += 1;
            let (_, way) = *ways.iter().find(|(resolved, _)| resolved.address == address).unwrap();
            async move {
                match way {
                    Way::Accepts(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Ok(())
                    }
                    Way::Refuses => Err(io::ErrorKind::ConnectionRefused.into()),
                    Way::Silent => std::future::pending().await,
                }
            }
        });
        (family.await, started.elapsed(), tried.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn ipv6_wins_if_it_can_be_reached() {
        let (family, took, tried) = raced(&[Way::Accepts(100)], &[Way::Accepts(0)]).await;
        assert_eq!((family, tried), (Some(Family::V6), 1));
        assert!(took <= Duration::from_millis(101), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn ipv4_is_tried_at_once_where_ipv6_is_refused() {
        let (family, took, _) = raced(&[Way::Refuses], &[Way::Accepts(0)]).await;
        assert!(family == Some(Family::V4) && took < Duration::from_millis(10), "{family:?} {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn ipv4_is_tried_after_the_head_start_where_ipv6_is_silent() {
        let (family, took, _) = raced(&[Way::Silent, Way::Silent], &[Way::Accepts(0)]).await;
        assert!(family == Some(Family::V4) && took < Duration::from_millis(300), "{family:?} {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_dead_host_does_not_speak_for_its_family() {
        let (family, _, tried) = raced(&[Way::Refuses, Way::Accepts(0)], &[Way::Refuses; 3]).await;
        assert_eq!((family, tried), (Some(Family::V6), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_wins_where_nothing_answers() {
        let (family, took, tried) = raced(&[Way::Silent; 3], &[Way::Silent; 3]).await;
        assert!(family.is_none() && tried == 4 && took <= Duration::from_millis(2_001), "{took:?} {tried}");
        assert_eq!(raced(&[Way::Refuses; 3], &[Way::Refuses; 3]).await.0, None);
    }
}
