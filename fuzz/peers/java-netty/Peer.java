import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandler;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.CorruptedFrameException;
import io.netty.handler.codec.EncoderException;
import io.netty.handler.codec.LengthFieldBasedFrameDecoder;
import io.netty.handler.codec.LengthFieldPrepender;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.protobuf.ProtobufVarint32FrameDecoder;
import io.netty.handler.codec.protobuf.ProtobufVarint32LengthFieldPrepender;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Netty's frame codecs as a peer of the differential fuzz targets. What travels is in fuzz/README.md. */
final class Peer {
  private static final String[] OFFERS = {
    "decode u32", "encode u32", "decode length", "encode length", "decode varint", "encode varint"
  };

  private static final int DECODE = 1, ENCODE = 2;
  private static final int U32 = 1, LENGTH = 2, VARINT = 3;
  private static final int LITTLE_ENDIAN = 1, ACCEPT_OVERLONG = 2, BODY_AT_SKIP = 4;
  private static final int FRAME = 0, WOULD_BLOCK = 2, MESSAGE_TOO_LARGE = 21, MALFORMED = 22, UNENCODABLE = 23;
  private static final int OTHER_ERROR = 0xFD, NOT_OFFERED = 0xFF;

  /** Bodies that are encoded are made: longer ones are not. */
  private static final long ENCODED_MAX = 1 << 17;

  /** A codec of a request. */
  private record Codec(int codec, int flags, int width, int offset, int skip, long adjustment, long max) {
    static Codec read(ByteBuffer request) {
      int codec = request.get() & 0xFF, flags = request.get() & 0xFF, varintBytes = request.get() & 0xFF;
      int width = request.getInt(), offset = request.getInt(), skip = request.getInt();
      Codec read = new Codec(codec, flags, width, offset, skip, request.getLong(), request.getLong());
      return codec == VARINT && varintBytes != 0 && varintBytes != 5 ? new Codec(0, 0, 0, 0, 0, 0, 0) : read;
    }

    ByteOrder order() {
      return (flags & LITTLE_ENDIAN) != 0 ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
    }

    boolean adjusts() {
      return adjustment == (int) adjustment && adjustment != Integer.MIN_VALUE;
    }

    /** Netty's decoder like it; null if there is none. Netty's limit is that of the frame with its header. */
    ChannelHandler decoder() {
      if (codec == U32 && max + 4 <= Integer.MAX_VALUE) {
        return new LengthFieldBasedFrameDecoder((int) max + 4, 0, 4, 0, 4);
      }
      long frame = max + offset + width;
      if (codec == LENGTH && (flags & BODY_AT_SKIP) == 0 && adjusts() && frame <= Integer.MAX_VALUE) {
        return new LengthFieldBasedFrameDecoder(order(), (int) frame, offset, width, (int) adjustment, skip, true);
      }
      // It reads overlong lengths, always.
      if (codec == VARINT && (flags & ACCEPT_OVERLONG) != 0 && max <= Integer.MAX_VALUE) {
        return new ProtobufVarint32FrameDecoder((int) max);
      }
      return null;
    }

    /** Netty's encoder like it; null if there is none. */
    ChannelHandler encoder() {
      if (codec == U32) {
        return new LengthFieldPrepender(4);
      }
      if (codec == LENGTH && (flags & BODY_AT_SKIP) == 0 && offset == 0 && adjusts()) {
        return new LengthFieldPrepender(order(), width, (int) -adjustment, false);
      }
      return codec == VARINT ? new ProtobufVarint32LengthFieldPrepender() : null;
    }
  }

  private static byte[] taken(ByteBuf buffer) {
    byte[] bytes = new byte[buffer.readableBytes()];
    buffer.readBytes(bytes);
    buffer.release();
    return bytes;
  }

  private static int statusOf(Throwable error) {
    return error instanceof TooLongFrameException
        ? MESSAGE_TOO_LARGE
        : error instanceof CorruptedFrameException ? MALFORMED : OTHER_ERROR;
  }

  /** Netty tells nothing at the end of a stream: what lacks then is dropped. */
  private static void decode(ByteBuffer request, Codec codec, DataOutputStream out) throws IOException {
    ChannelHandler decoder = codec.decoder();
    if (decoder == null) {
      out.writeByte(NOT_OFFERED);
      return;
    }
    EmbeddedChannel channel = new EmbeddedChannel(decoder);
    int status = WOULD_BLOCK;
    request.get(); // whether the stream ends
    while (status == WOULD_BLOCK && request.hasRemaining()) {
      byte[] piece = new byte[request.getInt()];
      request.get(piece);
      try {
        channel.writeInbound(Unpooled.wrappedBuffer(piece));
      } catch (RuntimeException error) {
        status = statusOf(error);
      }
    }
    for (ByteBuf frame = channel.readInbound(); frame != null; frame = channel.readInbound()) {
      byte[] body = taken(frame);
      out.writeByte(FRAME);
      out.writeInt(body.length);
      out.write(body);
    }
    out.writeByte(status);
    out.writeLong(0);
    try {
      channel.finishAndReleaseAll();
    } catch (RuntimeException error) {
      // Of what came behind the error: it is not asked for.
    }
  }

  private static void encode(ByteBuffer request, Codec codec, DataOutputStream out) throws IOException {
    ChannelHandler encoder = codec.encoder();
    long length = request.getLong();
    if (encoder == null || length < 0 || length > ENCODED_MAX) {
      out.writeByte(NOT_OFFERED);
      return;
    }
    EmbeddedChannel channel = new EmbeddedChannel(encoder);
    ByteArrayOutputStream written = new ByteArrayOutputStream();
    try {
      channel.writeOutbound(Unpooled.wrappedBuffer(new byte[(int) length]));
    } catch (EncoderException | IllegalArgumentException error) {
      out.writeByte(UNENCODABLE);
      channel.finishAndReleaseAll();
      return;
    }
    for (ByteBuf part = channel.readOutbound(); part != null; part = channel.readOutbound()) {
      written.write(taken(part));
    }
    channel.finishAndReleaseAll();
    int header = written.size() - (int) length;
    out.writeByte(FRAME);
    out.writeInt(header);
    out.write(written.toByteArray(), 0, header);
  }

  private static byte[] answer(byte[] request) throws IOException {
    ByteArrayOutputStream answer = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(answer);
    ByteBuffer read = ByteBuffer.wrap(request);
    int what = read.hasRemaining() ? read.get() : 0;
    if (what == DECODE) {
      decode(read, Codec.read(read), out);
    } else if (what == ENCODE) {
      encode(read, Codec.read(read), out);
    } else {
      out.writeByte(NOT_OFFERED);
    }
    return answer.toByteArray();
  }

  private static List<byte[]> answers(byte[] batch) throws IOException {
    ByteBuffer read = ByteBuffer.wrap(batch);
    List<byte[]> answers = new ArrayList<>();
    int requests = read.getInt();
    for (int i = 0; i < requests; i++) {
      byte[] request = new byte[read.getInt()];
      read.get(request);
      answers.add(answer(request));
    }
    if (requests == 0) {
      for (String offer : OFFERS) {
        answers.add(offer.getBytes(StandardCharsets.US_ASCII));
      }
    }
    return answers;
  }

  public static void main(String[] arguments) throws IOException {
    DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
    while (true) {
      int length;
      try {
        length = in.readInt();
      } catch (EOFException end) {
        return;
      }
      byte[] batch = new byte[length];
      in.readFully(batch);
      ByteArrayOutputStream told = new ByteArrayOutputStream();
      DataOutputStream list = new DataOutputStream(told);
      List<byte[]> answers = answers(batch);
      list.writeInt(answers.size());
      for (byte[] answer : answers) {
        list.writeInt(answer.length);
        list.write(answer);
      }
      System.out.write(ByteBuffer.allocate(4).putInt(told.size()).array());
      told.writeTo(System.out);
      System.out.flush();
    }
  }

  private Peer() {}
}
