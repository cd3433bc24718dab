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
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

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
  private static final int ENCODED_MAX = 1 << 17;

  private static final byte[] BODY = new byte[ENCODED_MAX];

  /** Carries every handler in turn: to make a channel costs more than an answer. */
  private static final EmbeddedChannel CHANNEL = new EmbeddedChannel();

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
    int status = WOULD_BLOCK;
    request.get(); // whether the stream ends
    CHANNEL.pipeline().addLast(decoder);
    while (status == WOULD_BLOCK && request.hasRemaining()) {
      int length = request.getInt();
      try {
        CHANNEL.writeInbound(Unpooled.wrappedBuffer(request.array(), request.position(), length));
      } catch (RuntimeException error) {
        status = statusOf(error);
      }
      request.position(request.position() + length);
    }
    for (ByteBuf frame = CHANNEL.readInbound(); frame != null; frame = CHANNEL.readInbound()) {
      out.writeByte(FRAME);
      out.writeInt(frame.readableBytes());
      frame.readBytes(out, frame.readableBytes());
      frame.release();
    }
    out.writeByte(status);
    out.writeLong(0);
    // What it holds and what comes of it now is behind the error or the end: it is not asked for.
    CHANNEL.pipeline().removeLast();
    CHANNEL.releaseInbound();
  }

  private static void encode(ByteBuffer request, Codec codec, DataOutputStream out) throws IOException {
    ChannelHandler encoder = codec.encoder();
    long length = request.getLong();
    if (encoder == null || length < 0 || length > ENCODED_MAX) {
      out.writeByte(NOT_OFFERED);
      return;
    }
    CHANNEL.pipeline().addLast(encoder);
    try {
      CHANNEL.writeOutbound(Unpooled.wrappedBuffer(BODY, 0, (int) length));
      long written = 0;
      for (Object part : CHANNEL.outboundMessages()) {
        written += ((ByteBuf) part).readableBytes();
      }
      int header = (int) (written - length);
      out.writeByte(FRAME);
      out.writeInt(header);
      for (ByteBuf part = CHANNEL.readOutbound(); part != null; part = CHANNEL.readOutbound()) {
        int taken = Math.min(header, part.readableBytes());
        part.readBytes(out, taken);
        header -= taken;
        part.release();
      }
    } catch (EncoderException | IllegalArgumentException error) {
      out.writeByte(UNENCODABLE);
      CHANNEL.releaseOutbound();
    }
    CHANNEL.pipeline().removeLast();
  }

  private static void answer(ByteBuffer request, DataOutputStream out) throws IOException {
    int what = request.hasRemaining() ? request.get() : 0;
    if (what == DECODE) {
      decode(request, Codec.read(request), out);
    } else if (what == ENCODE) {
      encode(request, Codec.read(request), out);
    } else {
      out.writeByte(NOT_OFFERED);
    }
  }

  private static void put(byte[] element, int length, DataOutputStream list) throws IOException {
    list.writeInt(length);
    list.write(element, 0, length);
  }

  /** The answers to a batch, with their number before them. */
  private static void answers(ByteBuffer batch, DataOutputStream list) throws IOException {
    int requests = batch.getInt(), end = batch.limit();
    list.writeInt(requests == 0 ? OFFERS.length : requests);
    if (requests == 0) {
      for (String offer : OFFERS) {
        byte[] text = offer.getBytes(StandardCharsets.US_ASCII);
        put(text, text.length, list);
      }
    }
    Bytes answer = new Bytes();
    for (int i = 0; i < requests; i++) {
      int length = batch.getInt(), next = batch.position() + length;
      answer.reset();
      answer(batch.limit(next), new DataOutputStream(answer));
      put(answer.array(), answer.size(), list);
      batch.limit(end).position(next);
    }
  }

  /** A stream of bytes that shows them in place. */
  private static final class Bytes extends ByteArrayOutputStream {
    byte[] array() {
      return buf;
    }
  }

  public static void main(String[] arguments) throws IOException {
    DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
    OutputStream out = new FileOutputStream(FileDescriptor.out);
    while (true) {
      int length;
      try {
        length = in.readInt();
      } catch (EOFException end) {
        return;
      }
      byte[] batch = new byte[length];
      in.readFully(batch);
      Bytes told = new Bytes();
      DataOutputStream list = new DataOutputStream(told);
      list.writeInt(0); // the length, once it is known
      answers(ByteBuffer.wrap(batch), list);
      ByteBuffer.wrap(told.array()).putInt(told.size() - 4);
      out.write(told.array(), 0, told.size());
    }
  }

  private Peer() {}
}
