use std::time::Duration;

use futures_util::SinkExt;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::{io::AsyncWriteExt, time::timeout};

use shared::protocol::{self, Report, ToControl};

use super::{
    super::{DataPlaneState, Limits},
    fixture::{DEADLINE, Fixture, eventually},
};

#[tokio::test]
async fn no_hello_in_time_ends_the_connection() {
    let limits = Limits { hello: Duration::from_millis(50), ..Limits::default() };
    let fixture = Fixture::with_limits(limits).await;
    fixture.dial().await.closed().await;
    assert!(fixture.publisher.data_planes().is_empty());
}

#[tokio::test]
async fn another_first_frame_ends_the_connection() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.dial().await;
    data_plane.send(ToControl::Report(Report::default())).await;
    data_plane.closed().await;
    assert!(fixture.publisher.data_planes().is_empty());
}

#[tokio::test]
async fn another_protocol_version_ends_the_connection() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.dial().await;
    let hello = protocol::Hello { protocol: protocol::VERSION + 1, ..data_plane.greeting(None) };
    data_plane.send(ToControl::Hello(hello)).await;
    data_plane.closed().await;
    assert!(fixture.publisher.data_planes().is_empty());
}

#[tokio::test]
async fn a_second_hello_ends_the_connection() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    data_plane.hello(None).await;
    data_plane.closed().await;
    fixture.shown(data_plane.instance, |shown| shown.state == DataPlaneState::Disconnected).await;
}

#[tokio::test]
async fn garbage_ends_its_connection_and_no_other() {
    let fixture = Fixture::start().await;
    let mut bystander = fixture.data_plane().await;
    let cases: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[0, 0, 0, 2, b'{', b'}'],
        &[0, 0, 0, 0],
        b"\0\0\0\x0e{\"hello\":null}",
        // The end inside a frame.
        &[0, 0, 1, 0, b'{'],
    ];
    for greeted in [false, true] {
        for case in cases {
            let mut data_plane = if greeted { fixture.data_plane().await } else { fixture.dial().await };
            let stream = data_plane.frames.get_mut();
            stream.write_all(case).await.unwrap();
            stream.shutdown().await.unwrap();
            data_plane.closed().await;
        }
    }
    eventually("only one is left", || fixture.publisher.connected() == 1).await;
    fixture.publish(2);
    assert_eq!(bystander.snapshot().await.revision.0, 2);
}

#[test]
fn random_frames_after_hello_never_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fixture = runtime.block_on(Fixture::start());
    let frame = prop_oneof![
        "[ -~]{0,40}",
        (any::<u64>(), any::<u64>()).prop_map(|(revision, duration)| {
            let hash = "0".repeat(64);
            format!(
                r#"{{"applied":{{"revision":{revision},"hash":"{hash}","duration_us":{duration},"listeners":[]}}}}"#
            )
        }),
        any::<u64>().prop_map(|revision| format!(r#"{{"rejected":{{"revision":{revision},"findings":[]}}}}"#)),
        any::<u64>().prop_map(|revision| format!(r#"{{"persisted":{{"revision":{revision}}}}}"#)),
        any::<u64>().prop_map(|id| format!(r#"{{"checked":{{"id":{id},"findings":[],"listeners":[]}}}}"#)),
        any::<u64>().prop_map(|dropped| format!(r#"{{"report":{{"listeners":[],"dropped":{dropped}}}}}"#)),
        (any::<u64>(), "[ -!#-\\[\\]-~]{0,300}", any::<bool>()).prop_map(|(number, text, whole)| {
            let since = "2027-01-01T00:00:00Z";
            let transition =
                format!(r#""at":"{since}","input":"health","from":"{text}","to":"{text}","reason":"{text}""#);
            let key = format!(r#""backend":"b","address":"{text}""#);
            format!(
                r#"{{"report":{{"listeners":[],"dropped":0,"whole":{whole},"removed":["u"],"events_lost":{number},
                    "events":[{{"upstream":"u",{key},{transition}}}],
                    "upstreams":[{{"upstream":"u","gone":[{{{key}}}],"endpoints":[{{{key},"weight":1e300,"backup":true,
                        "state":"panic","reason":"{text}","since":"{since}","admin":"draining",
                        "health":{{"state":"pending","since":"{since}"}},
                        "breaker":{{"state":"half_open","since":"{since}","calls":0,"failed":0,"slow":0,"permits":0,
                            "consecutive_openings":0,"forced":"{text}"}},
                        "load":{{"requests":{number}}},"transitions":[{{{transition}}}]}}]}}]}}}}"#
            )
        }),
    ];
    let mut runner = TestRunner::new(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() });
    let outcome = runner.run(&proptest::collection::vec(frame, 0..8), |frames| {
        runtime.block_on(async {
            let mut data_plane = fixture.data_plane().await;
            for frame in frames {
                let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
                bytes.extend_from_slice(frame.as_bytes());
                // The control plane may have closed already.
                let _ = data_plane.frames.get_mut().write_all(&bytes).await;
            }
            let _ = data_plane.frames.get_mut().shutdown().await;
            data_plane.closed().await;
        });
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(async {
        assert!(!fixture.server.is_finished());
        fixture.data_plane().await;
        assert!(fixture.publisher.data_planes().iter().all(|shown| shown.applied_revision.is_none()));
    });
}

#[tokio::test]
async fn too_many_connections_are_refused() {
    // It is not the wait for a hello that closes the third.
    let limits = Limits { connections: 2, hello: 10 * DEADLINE, ..Limits::default() };
    let fixture = Fixture::with_limits(limits).await;
    let (first, _second) = (fixture.data_plane().await, fixture.data_plane().await);
    let mut third = fixture.dial().await;
    third.closed().await;
    drop(first);
    eventually("there is room again", || fixture.publisher.connected() == 1).await;
    // The task that ended is gathered right after it left the registry; until then a dial may still be refused.
    let welcome = async {
        loop {
            let mut fourth = fixture.dial().await;
            let hello = ToControl::Hello(fourth.greeting(None));
            if fourth.frames.send(&hello).await.is_ok() && fourth.next().await.is_some() {
                break;
            }
        }
    };
    timeout(DEADLINE, welcome).await.expect("in time");
}
