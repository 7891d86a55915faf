// Runs Apache Kafka's command-line tools one after another in one JVM, so that a test does not pay
// a second of start-up for each. One command a line on standard input, its fields separated by the
// unit separator: a file for the tool's standard input (or nothing), the class, its arguments.
// The answer: a line "exit-code stdout-bytes stderr-bytes", then those bytes.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import org.apache.kafka.common.utils.Exit;

public class Tools {
    /** What a tool's call of exit becomes. */
    static final class Exited extends Error {
        Exited(int code) {
            super("exit " + code, null, false, false);
        }
    }

    /** The first exit code; some tools catch what the first call throws, and call again. */
    private static Integer exitCode;

    /** What the tool wants done at its end: several close their producer only here. */
    private static final List<Runnable> atEnd = new ArrayList<>();

    private static void exit(int code) {
        if (exitCode == null) {
            exitCode = code;
        }
        throw new Exited(code);
    }

    public static void main(String[] none) throws Exception {
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        Exit.setShutdownHookAdder((name, hook) -> atEnd.add(hook));
        FileOutputStream answers = new FileOutputStream(FileDescriptor.out);
        BufferedReader commands =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] fields = line.split("\u001f", -1);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            int code;
            try (InputStream in = fields[0].isEmpty()
                    ? new ByteArrayInputStream(new byte[0]) : new FileInputStream(fields[0])) {
                code = run(in, new PrintStream(out, true), new PrintStream(err, true),
                    fields[1], Arrays.copyOfRange(fields, 2, fields.length));
            }
            // copies, since a tool may have left a thread that still prints
            byte[] printed = out.toByteArray();
            byte[] errors = err.toByteArray();
            String head = code + " " + printed.length + " " + errors.length + "\n";
            answers.write(head.getBytes(StandardCharsets.UTF_8));
            answers.write(printed);
            answers.write(errors);
            answers.flush();
        }
    }

    private static int run(InputStream in, PrintStream out, PrintStream err, String tool, String[] args) {
        System.setIn(in);
        System.setOut(out);
        System.setErr(err);
        exitCode = null;
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) args);
        } catch (InvocationTargetException failure) {
            if (exitCode == null) {
                failure.getCause().printStackTrace(err);
                exitCode = 1;
            }
        } catch (ReflectiveOperationException failure) {
            failure.printStackTrace(err);
            exitCode = 2;
        }
        try {
            atEnd.forEach(Runnable::run);
        } catch (Exited again) {
            // it said so before
        } finally {
            atEnd.clear();
            out.flush();
            err.flush();
        }
        return exitCode == null ? 0 : exitCode;
    }
}
