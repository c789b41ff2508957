//! Random exchanges over one connection.

use std::{cell::RefCell, rc::Rc};

use http2::{Arrival, Config, StreamError};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{
    CLIENT, SERVER,
    exchange::{self, Exchange, Fault, Message, Outcome},
    tasks::{Dice, Tasks},
    wire::Wire,
};

/// What happens to the connection after so many turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The windows that the client announces become so large, for a while.
    Shrink(u32),
    ShutDown,
    CloseServer,
    CloseClient,
    Cut,
}

#[derive(Clone, Debug)]
struct Run {
    exchanges: Vec<Exchange>,
    window: u32,
    gathered: usize,
    room: usize,
    event: Option<(usize, Event)>,
    /// Turns between requests.
    pause: usize,
    seed: u64,
}

fn message() -> impl Strategy<Value = Message> {
    let body =
        prop_oneof![2 => Just(0), 4 => 0..5000_usize, 2 => 0..400_000_usize, 1 => select(&[65_535, 131_072][..])];
    let piece = select(&[777, 4096, 16_385, 50_000, 1_000_000][..]);
    (body, piece, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(body, piece, has_length, has_trailers, ends_alone)| Message {
            body,
            piece,
            has_length,
            has_trailers,
            ends_alone,
        },
    )
}

fn exchange(with_faults: bool) -> impl Strategy<Value = Exchange> {
    let bytes = prop_oneof![Just(0), 0..200_000_usize];
    let fault = (any::<bool>(), any::<bool>(), bytes).prop_map(|(is_client, is_drop, bytes)| Fault {
        is_client,
        is_drop,
        bytes,
    });
    let field = prop_oneof![9 => 0..100_usize, 1 => 0..40_000_usize];
    (message(), message(), 0..3_usize, field, option::of(fault)).prop_map(
        move |(request, response, interims, field, fault)| Exchange {
            request,
            response,
            interims,
            field,
            fault: fault.filter(|_| with_faults),
        },
    )
}

fn run(with_faults: bool) -> impl Strategy<Value = Run> {
    let event = prop_oneof![
        4 => (0..40_000_u32).prop_map(Event::Shrink),
        1 => select(&[Event::ShutDown, Event::CloseServer, Event::CloseClient, Event::Cut][..]),
    ];
    let windows = select(&[1_u32, 5, 100, 16_384, 65_535, 131_072, 1_000_000][..]);
    let gathered = select(&[100_usize, 20_000, 65_536][..]);
    let room = select(&[1000_usize, 30_000, 1_000_000][..]);
    let event = option::of((0..100_usize, event));
    (vec(exchange(with_faults), 1..12), windows, gathered, room, event, 0..6_usize, any::<u64>()).prop_map(
        |(mut exchanges, window, gathered, room, event, pause, seed)| {
            if window < 1000 {
                // It takes a frame for each few bytes.
                for message in exchanges.iter_mut().flat_map(|exchange| [&mut exchange.request, &mut exchange.response])
                {
                    message.body = message.body.min(3000 * window as usize);
                }
            }
            Run { exchanges, window, gathered, room, event, pause, seed }
        },
    )
}

impl Run {
    fn play(self) -> Vec<Outcome> {
        let Self { exchanges, window, gathered, room, event, pause, seed } = self;
        let mut dice = Dice::new(seed);
        let of = |config: Config| Config {
            stream_window: window,
            connection_window: window.max(65_535),
            gathered,
            header_list: 60_000,
            ..config
        };
        let mut wire = Wire::new(of(CLIENT), of(SERVER), room, &mut dice);
        let (client, server) = (wire.client.connection.clone(), wire.server.connection.clone());
        let outcomes = Rc::new(RefCell::new(vec![Outcome::default(); exchanges.len()]));
        let exchanges = Rc::new(exchanges);
        let mut tasks = Tasks::default();
        let (mut next, mut quiet, mut restores) = (0, 0, None);
        for turn in 0.. {
            if next < exchanges.len() && (pause == 0 || turn % pause == 0) {
                tasks.spawn(exchange::ask(client.clone(), next, exchanges[next], Rc::clone(&outcomes)));
                next += 1;
            }
            match event.filter(|(at, _)| *at == turn) {
                Some((_, Event::Shrink(size))) => {
                    wire.set_window(size.min(window));
                    restores = Some(turn + 20);
                }
                Some((_, Event::ShutDown)) => server.shut_down(),
                Some((_, Event::CloseServer)) => server.close(),
                Some((_, Event::CloseClient)) => client.close(),
                Some((_, Event::Cut)) => wire.cut(),
                None => {}
            }
            if restores == Some(turn) {
                wire.set_window(window);
            }
            let has_moved = wire.turn(&mut dice);
            while let Some(arrival) = server.next() {
                let Arrival::Request(head, stream) = arrival else { panic!("a request was refused") };
                tasks.spawn(exchange::serve(head, stream, Rc::clone(&exchanges), Rc::clone(&outcomes)));
            }
            let has_run = tasks.run(&mut dice);
            quiet = if has_moved || has_run { 0 } else { quiet + 1 };
            let is_waiting =
                next < exchanges.len() || event.into_iter().map(|(at, _)| at).chain(restores).any(|at| at >= turn);
            if quiet > 10 && !is_waiting {
                break;
            }
        }
        assert!(tasks.is_empty(), "all wait for each other: {outcomes:?}");
        if event.is_none_or(|(_, event)| event != Event::Cut) {
            wire.assert_settled();
        }
        assert_eq!((client.active(), server.active(), server.next().is_none()), (0, 0, true));
        if let Some((_, Event::ShutDown | Event::CloseServer)) = event {
            assert!(server.is_done() && client.is_done());
        }
        let outcomes = outcomes.borrow();
        outcomes.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bodies_arrive_whole(run in run(false)) {
        let event = run.event;
        for Outcome { client, server } in run.play() {
            match (client, event) {
                (_, Some((_, Event::Cut))) => {}
                (Some(Ok(())), _) => prop_assert_eq!(server, Some(Ok(()))),
                (_, None | Some((_, Event::Shrink(_)))) => prop_assert!(false, "{:?}", client),
                (Some(Err(StreamError::Unprocessed)), _) => prop_assert_eq!(server, None),
                _ => prop_assert!(false, "{:?}", client),
            }
        }
    }

    #[test]
    fn whoever_gives_up_leaves_nothing_behind(run in run(true)) {
        let (event, exchanges) = (run.event, run.exchanges.clone());
        for (Outcome { client, server }, exchange) in run.play().into_iter().zip(exchanges) {
            if exchange.fault.is_none() && event.is_none() {
                prop_assert_eq!((client, server), (Some(Ok(())), Some(Ok(()))));
            }
        }
    }
}
