//! What travels beside bytes: `AncillaryData`, its encoder and its decoder.

use crate::Interprocess1Unix;
use cts_peer::{to_json, Call, Failure, Json, Outcome, Results};
use interprocess::os::unix::udsocket::{AncillaryData, AncillaryDataBuf, EncodedAncillaryData};
use std::borrow::Cow;
use std::os::fd::RawFd;

/// What a request asks to send.
pub fn asked_for(call: &Call<Interprocess1Unix>) -> Vec<AncillaryData<'static>> {
    let arguments = &call.arguments;
    let mut asked = Vec::new();
    let descriptors: Vec<i32> = arguments.numbers("descriptors").iter().map(|number| *number as i32).collect();
    if !descriptors.is_empty() {
        asked.push(AncillaryData::FileDescriptors(Cow::Owned(descriptors)));
    }
    let named = ["pid", "uid", "gid"].iter().any(|field| arguments.has(field));
    if arguments.bool("credentials") == Some(true) || named {
        let mut credentials = AncillaryData::credentials();
        if let AncillaryData::Credentials { pid, uid, gid } = &mut credentials {
            *pid = arguments.unsigned("pid").map_or(*pid, |given| given as i32);
            *uid = arguments.unsigned("uid").map_or(*uid, |given| given as u32);
            *gid = arguments.unsigned("gid").map_or(*gid, |given| given as u32);
        }
        asked.push(credentials);
    }
    asked
}

/// Room for the descriptors that a request has room for and, as every socket of the crate asks for them, credentials.
pub fn room_for(call: &Call<Interprocess1Unix>) -> Vec<u8> {
    let descriptors = call.arguments.unsigned("descriptors_max").unwrap_or(0) as usize;
    let room = AncillaryData::ENCODED_SIZE_OF_CREDENTIALS.next_multiple_of(8)
        + AncillaryData::encoded_size_of_file_descriptors(descriptors);
    vec![0; room]
}

/// What the decoder finds in a control buffer.
pub fn found_in(control: &mut [u8]) -> (Vec<RawFd>, Results) {
    let mut descriptors = Vec::new();
    let mut results = Vec::new();
    if control.is_empty() {
        return (descriptors, results);
    }
    let buffer = AncillaryDataBuf::Borrowed(control);
    for item in buffer.decode() {
        match item {
            AncillaryData::FileDescriptors(came) => descriptors.extend_from_slice(&came),
            AncillaryData::Credentials { pid, uid, gid } => {
                results = vec![("pid", (pid as u64).into()), ("uid", uid.into()), ("gid", gid.into())];
            }
        }
    }
    if !descriptors.is_empty() {
        let numbers: Vec<u64> = descriptors.iter().map(|number| *number as u32 as u64).collect();
        results.push(("descriptors", numbers.as_slice().into()));
    }
    (descriptors, results)
}

/// Notes the descriptors that came, if the numbers are those of descriptors that are not the kit's.
pub fn own(call: &Call<Interprocess1Unix>, descriptors: &[RawFd]) {
    for descriptor in descriptors.iter().filter(|descriptor| (3..64).contains(*descriptor)) {
        call.own(*descriptor);
    }
}

pub fn write(call: &Call<Interprocess1Unix>) -> Outcome {
    let data = call.arguments.data();
    let data = data.slice(0, data.len());
    let mut asked = asked_for(call);
    let mut accepted = 0;
    let result = call.with_stream(true, |stream| {
        let socket = stream.socket()?;
        loop {
            accepted += socket.send_ancillary(&data[accepted..], asked.drain(..))?.0;
            if accepted == data.len() {
                return Ok(());
            }
        }
    });
    Outcome { failure: result.err(), results: vec![("length", (accepted as u64).into())] }
}

pub fn read(call: &Call<Interprocess1Unix>) -> Outcome {
    let max = call.arguments.unsigned("max").unwrap_or(0).min(1 << 20) as usize;
    let (mut buffer, mut control) = (vec![0; max], room_for(call));
    let result = call.with_stream(true, |stream| {
        let mut room = AncillaryDataBuf::Borrowed(&mut control);
        Ok(stream.socket()?.recv_ancillary(&mut buffer, &mut room)?)
    });
    let (length, came) = *result.as_ref().unwrap_or(&(0, 0));
    let mut results = cts_peer::consumed(&buffer[..length]);
    let (descriptors, beside) = found_in(&mut control[..came]);
    own(call, &descriptors);
    results.extend(beside);
    let failure = result.err().or_else(|| (length == 0 && max > 0).then(|| Failure::new("end", "")));
    Outcome { failure, results }
}

pub fn encode(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    call.begin();
    let encoded: EncodedAncillaryData = asked_for(call).into();
    Ok(vec![("control", to_json(encoded.as_ref()))])
}

pub fn decode(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let mut control = call.arguments.bytes("control").to_vec();
    call.begin();
    let (_, results): (_, Vec<(&'static str, Json)>) = found_in(&mut control);
    Ok(results)
}
