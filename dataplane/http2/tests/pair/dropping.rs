
#[test]
fn a_stream_may_be_in_many_hands() {
    let peer = Peer::new(SERVER);
    let mut stream = peer.request(1, true);
    let clones: Vec<_> = (0..300).map(|_| stream.clone()).collect();
    drop(clones);
    stream.send_head(true, |fields| fields.status(200)).unwrap();
    assert_eq!(peer.frames().len(), 1);
}
